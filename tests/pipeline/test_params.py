"""params.yaml is strict, and errors name the key, the value and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.checks import used_models
from pipeline.freshness import depends_on, write_needs
from pipeline.graph import STAGES
from pipeline.params import load
from pipeline.paths import Paths
from tests.conftest import FAKE_PARAMS, REPO
from transforms.core.errors import ConfigError, InputError

WRONG = [
    # wrong keys
    ("generate.temprature=1", ["generate.temprature = 1", "unknown key", "sampling"]),
    ("ingest.sources.0.sise=3", ["ingest.sources.0.sise = 3", "did you mean 'size'"]),
    ("prune.options.drpp={}", ["prune.options.drpp", "keep_all, first_correct"]),
    (
        "prune.options.first_correct.solution=1",
        ["prune.options.first_correct.solution = 1", "did you mean 'solutions'"],
    ),
    ("nogroup.x=1", ["nogroup", "allowed: base, runner"]),
    ("ingest.sources.9.size=3", ["ingest.sources.9", "allowed: 0 to 3"]),
    # wrong types
    ("generate.sampling.temperature=hot", ["generate.sampling.temperature = 'hot'", "valid number"]),
    ("base.seed=1.5", ["base.seed = 1.5", "valid integer"]),
    ("base.seed=true", ["base.seed = True", "valid integer"]),
    ("models.teacher.max_model_len='3000'", ["models.teacher.max_model_len = '3000'", "valid integer"]),
    ("prune=3", ["prune = 3"]),
    ("base=", ["base = None"]),
    ("ingest.sources.0.config=[]", ["ingest.sources.0.config = []", "group of keys"]),
    # wrong ranges
    ("base.shard_rows=0", ["base.shard_rows = 0", "greater than or equal to 1"]),
    ("generate.sampling.top_p=0", ["generate.sampling.top_p = 0", "greater than 0"]),
    ("emit.validation_share=1", ["emit.validation_share = 1", "less than 1"]),
    ("recheck.max_loss_nats_per_token=-1", ["recheck.max_loss_nats_per_token = -1"]),
    ("recheck.completions=-1", ["recheck.completions = -1", "greater than or equal to 0"]),
    ("recheck={completions: 4, sampling: {temperature: 0.0}}", ["recheck.sampling.temperature = 0.0: must be above 0"]),
    (
        "recheck={completions: 4, sampling: {max_tokens: 9999}}",
        ["recheck.sampling.max_tokens = 9999", "below models.student.max_model_len"],
    ),
    ("annotate.overlap_steps=12", ["annotate.overlap_steps = 12: must be below annotate.window_steps = 12"]),
    ("generate.sampling.temperature=.nan", ["generate.sampling.temperature = nan", "finite"]),
    (
        "ingest.sources=[{kind: jsonl, path: x.jsonl, answer_kind: code}]",
        ["ingest.sources.0.answer_kind = 'code': answer_kind: code and fields.tests"],
    ),
    (
        "ingest.sources=[{kind: jsonl, path: x.jsonl, fields: {options: choices}}]",
        ["ingest.sources.0.answer_kind", "fields.options", "needs answer_kind: choice"],
    ),
    (
        "ingest.sources=[{kind: jsonl, path: x.jsonl, fields: {answer: null}}]",
        ["verify.reference = 'given'", "x has no references", "vote"],
    ),
    (
        "generate.import=[{kind: jsonl, path: x.jsonl, layout: openr1}]",
        [
            "generate.import.0.layout = 'openr1'",
            "no such layout; did you mean 'openr1_math'? allowed: messages, openthoughts",
        ],
    ),
    (
        "generate.import=[{kind: jsonl, path: x.jsonl, fields: {question: q}}]",
        ["generate.import.0.fields", "fields must name the traces"],
    ),
    (
        "generate.import=[{kind: jsonl, path: x.jsonl, layout: openr1_math, fields: {txt: y}}]",
        ["generate.import.0.fields.txt = 'y'", "unknown key; did you mean 'text'"],
    ),
    (
        "generate.import=[{kind: jsonl, path: x.jsonl, layout: s1k, fields: {options: choices}}]",
        ["generate.import.0.answer_kind", "fields.options", "needs answer_kind: choice"],
    ),
    (
        "generate.import=[{kind: jsonl, path: x.jsonl, layout: openr1_math}]",
        ["ingest.sources = [", "must be [] where generate.import is given"],
    ),
    ("generate.imports=[]", ["generate.imports = []", "unknown key; did you mean 'import'"]),
    ("verify.vote.min_agreement=2", ["verify.vote.min_agreement = 2", "less than or equal to 1"]),
    ("verify.reference=majority", ["verify.reference = 'majority'", "'given' or 'vote'"]),
    ("filter.num_examples=0", ["filter.num_examples = 0", "greater than or equal to 1"]),
    ("filter.bands=[0.5, 0.2, 1.0]", ["filter.bands = [0.5, 0.2, 1.0]", "must rise"]),
    ("filter.balance=difficulty", ["filter.balance = 'difficulty'", "give a number there"]),
    ("base.round=2", ["base.folder = 'data'", "must be data/round-2"]),
    ("ingest.overlap.min_share=0", ["ingest.overlap.min_share = 0", "greater than 0"]),
    ("ingest.sources=[]", ["ingest.sources = []", "at least one"]),
    ("models={}", ["models = {}", "at least one"]),
    ("models={a.b: {engine: fake}}", ["'a.b' is no name for a model"]),
    # wrong choices
    (
        "prune.options.asap.anchor=teachers",
        ["prune.options.asap.anchor = 'teachers'", "'teacher', 'lexical' or 'none'"],
    ),
    ("annotate.opinions=guess", ["annotate.opinions = 'guess'", "'structured' or 'likelihood'"]),
    ("models.teacher.engine=vlm", ["models.teacher.engine = 'vlm'", "'vllm', 'transformers', 'endpoint', 'fake'"]),
    ("ingest.sources.0.kind=csv", ["ingest.sources.0.kind = 'csv'", "'jsonl'"]),
    ("generate.on_length=longer", ["generate.on_length = 'longer'", "'drop', 'keep' or 'retry'"]),
    ("generate.on_length=retry", ["generate.max_retry_tokens = None", "above generate.sampling.max_tokens = 768"]),
    (
        "generate={on_length: retry, max_retry_tokens: 4096}",
        ["generate.max_retry_tokens = 4096", "below models.teacher.max_model_len = 4096"],
    ),
    ("generate.resample_until={max_samples: 2}", ["generate.resample_until.max_samples = 2", "above generate.samples"]),
    ("models.api={engine: endpoint, model: m, base_url: localhost}", ["models.api.base_url = 'localhost'", "http://"]),
    ("models.api={engine: endpoint, model: m, base_url: 'http://u:p@h'}", ["must be an address without a password"]),
    (
        "models.api={engine: endpoint, model: m, base_url: 'http://h', api_key: sk-1}",
        ["models.api.api_key = '***'", "api_key_env"],
    ),
    (
        "models.api={engine: endpoint, model: m, base_url: 'http://h', api_key_env: sk-1-2}",
        ["models.api.api_key_env = '***'", "the name of an environment variable"],
    ),
    (
        "models.api={engine: endpoint, model: m, base_url: 'http://h', extra_body: {stream: true}}",
        ["models.api.extra_body", "'stream' cannot be set there"],
    ),
    ("generate.resample_until={correct: 9, max_samples: 8}", ["generate.resample_until.correct = 9", "is more than"]),
    (
        "generate={resample_until: {max_samples: 8}, import: [{kind: jsonl, path: x, layout: s1k}]}",
        ["generate.resample_until = ", "nobody is asked"],
    ),
    ("models.api={engine: endpoint, model: m}", ["models.api.base_url: missing"]),
    ("emit.formats=[alpaca]", ["emit.formats = ['alpaca']", "there is messages"]),
    ("prune.methods=first_correct", ["prune.methods = 'first_correct'", "must be a list"]),
    ("ingest.sources={kind: jsonl}", ["ingest.sources = ", "must be a list"]),
    ("models.teacher.model=qwen3-4b", ["models.teacher.model = 'qwen3-4b'", "nor a hub id"]),
    ("models.teacher.model=qwen2.5-coder-1.5b", ["did you mean 'qwen2.5-coder-1.5b-instruct'?"]),
    ("prune.methods=[keep_all, nope]", ["prune.methods.1 = 'nope'", "allowed: keep_all, first_correct"]),
    # missing
    ("ingest.sources.0={kind: jsonl}", ["ingest.sources.0.path: missing"]),
    # combinations
    ("generate.model=nobody", ["generate.model = 'nobody'", "allowed: teacher, student"]),
    ("score.model=teacher", ["score.model = 'teacher'", "cannot score", "transformers, endpoint, fake"]),
    ("filter.method=drp", ["filter.method = 'drp'", "portfolio, keep_all, first_correct"]),
    ("prune.methods=[tail, random]", ["filter.portfolio_without = ", "leaves none of prune.methods = tail, random"]),
    ("filter.portfolio_without=[tial]", ["filter.portfolio_without = ", "has no method in 'tial'; allowed: keep_all"]),
    ("prune.options.step_entropy={ratio: 0.5}", ["prune.options.step_entropy.ratio = 0.5", "with steps: null"]),
    ("prune.options.asap={rounds: 2}", ["prune.options.asap.rounds = 2", "with mode: iterative"]),
    (
        "prune.options.asap={anchor: none, min_shared: 0.5}",
        ["prune.options.asap.min_shared = 0.5", "with anchor: lexical"],
    ),
    ("prune.options.answer_likelihood={ratio: 0.3}", ["answer_likelihood.ratio = 0.3", "with mode: gain"]),
    (
        "prune.options.answer_likelihood={mode: gain, tolerance_nats_per_token: 0.1}",
        ["tolerance_nats_per_token = 0.1", "with mode: sequential"],
    ),
    ("prune.methods=[keep_all, keep_all]", ["prune.methods.1", "twice"]),
    (
        "generate.sampling.max_tokens=4096",
        ["generate.sampling.max_tokens = 4096", "below models.teacher.max_model_len = 4096"],
    ),
    ("ingest.sources.1.name=products", ["ingest.sources.1.name = 'products'", "taken by an earlier source"]),
    ("base.shard_rows=100000", ["base.shard_rows = 100000", "generate.samples_per_problem = 11", "1,000,000"]),
    # not an override
    ("foo", ["--set 'foo'", "group.key=value"]),
    ("base.seed=[", ["--set 'base.seed=['", "not YAML"]),
]


@pytest.mark.parametrize(("override", "parts"), WRONG, ids=[override for override, _ in WRONG])
def test_what_is_wrong_is_refused_in_one_line(override: str, parts: list[str]) -> None:
    overrides = [override, "generate.samples_per_problem=11"] if "shard_rows=1" in override else [override]
    with pytest.raises(ConfigError) as error:
        load(str(REPO / "params.yaml"), overrides)
    text = str(error.value)
    assert "tuple" not in text
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_a_vote_that_could_never_be_decided_is_refused_only_where_one_is_needed() -> None:
    few = ["verify.reference=vote", "generate.samples_per_problem=1"]
    assert load(str(REPO / "params.yaml"), few).generate.samples_per_problem == 1  # all have references
    with pytest.raises(
        ConfigError, match=r"verify\.vote\.min_votes = 2: is more than generate\.samples_per_problem = 1"
    ):
        load(str(REPO / "params.yaml"), [*few, "ingest.sources=[{kind: jsonl, path: x, fields: {answer: null}}]"])


def test_a_margin_is_refused_where_opinions_have_no_scores() -> None:
    margin = ["prune.options.drp.min_margin_nats=0.5", "prune.methods=[keep_all, drp]", "filter.method=keep_all"]
    with pytest.raises(
        ConfigError, match=r"min_margin_nats = 0\.5: is not read, as annotate\.opinions = structured gives no"
    ):
        load(str(REPO / "params.yaml"), margin)
    load(str(REPO / "params.yaml"), ["prune.options.drp.min_margin_nats=0.5"])  # drp is not run


def test_first_tokens_only_leave_no_entropies_to_rank_by() -> None:
    first = ["score.tokens=first", "filter.method=keep_all"]
    assert load(str(REPO / "params.yaml"), [*first, "prune.methods=[keep_all, asap]"]).score.tokens == "first"
    with pytest.raises(ConfigError, match=r"score\.tokens = 'first': leaves out the entropies that step_entropy needs"):
        load(str(REPO / "params.yaml"), [*first, "prune.methods=[keep_all, step_entropy]"])


def test_overrides_reach_every_depth() -> None:
    overrides = [
        "base.seed=3",
        "ingest.sources.1.size=7",
        "prune.options.first_correct.solutions=2",
        "models.teacher.max_model_len=3000",
    ]
    params = load(str(REPO / "params.yaml"), overrides)
    assert params.base.seed == 3
    assert params.ingest.sources[1].size == 7
    assert params.prune.option("first_correct").solutions == 2
    assert params.models["teacher"].max_model_len == 3000


@pytest.mark.parametrize(
    "path",
    sorted(
        str(path.relative_to(REPO))
        for folder in ("", "profiles", "examples/*")
        for path in REPO.glob(f"{folder}/*.yaml".lstrip("/"))
        if path.name != "dvc.yaml"
    ),
)
def test_shipped_parameter_files_load_and_are_complete(path: str) -> None:
    params = load(str(REPO / path))
    assert set(params.model_fields_set) == set(type(params).model_fields), "a profile names every group"
    for method in params.prune.methods:
        assert method in params.model_dump()["prune"]["options"]


def test_a_file_that_is_missing_or_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load(str(tmp_path / "none.yaml"))
    for text in ("a: [", "- 1", "", "base: {seed: 1}\nbase: {seed: 2}", "base: \x00"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError):
            load(str(tmp_path / "bad.yaml"))
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load(str(tmp_path / "bad.yaml"))


def test_a_stage_depends_only_on_its_own_section(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FAKE_PARAMS)
    before = load(str(tmp_path / "p.yaml"))
    after = load(
        str(tmp_path / "p.yaml"), ["prune.options.first_correct.solutions=2", "recheck.max_loss_nats_per_token=0.5"]
    )
    changed = {
        (stage, m)
        for stage in [one.name for one in STAGES]
        for m in ("keep_all", "first_correct")
        if depends_on(stage, before, m) != depends_on(stage, after, m)
    }
    assert changed == {("prune", "first_correct"), ("recheck", "keep_all"), ("recheck", "first_correct")}


def test_scores_and_opinions_are_wanted_only_where_a_method_needs_them(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FAKE_PARAMS)

    def wanted(*overrides: str) -> list[Any]:
        params = load(str(tmp_path / "p.yaml"), list(overrides))
        return [depends_on(stage, params)["needs"] for stage in ("score", "annotate")] + [sorted(used_models(params))]

    assert wanted() == [[], [], ["teacher"]]
    assert wanted("prune.methods=[asap]") == [["scores"], [], ["teacher"]]
    assert wanted("prune.methods=[drp]") == [[], ["actions", "rewrites"], ["teacher"]]
    assert wanted("prune.methods=[drp]", "prune.options.drp={rewrites: false}") == [[], ["actions"], ["teacher"]]
    both = ["prune.methods=[asap, drp]", "prune.options.asap={anchor: teacher}", "models.other={engine: fake}"]
    assert wanted(*both, "annotate.model=other") == [["scores"], ["actions", "path", "rewrites"], ["other", "teacher"]]
    # another option of a method that needs the same, or another such method, makes no score and no opinion stale
    before, after = (
        load(str(tmp_path / "p.yaml"), [f"prune.methods={methods}", f"prune.options.asap={{ratio: {ratio}}}"])
        for methods, ratio in (("[asap]", 0.5), ("[asap, head]", 0.6))
    )
    assert depends_on("score", before) == depends_on("score", after)
    assert depends_on("annotate", before) == depends_on("annotate", after)
    assert (depends_on("annotate", before)["needs"], depends_on("annotate", before)["config"]) == ([], {})
    assert "score.model" in depends_on("prune", load(str(tmp_path / "p.yaml")), "answer_likelihood")["config"]
    assert list(depends_on("prune", before, "asap")["config"]) == ["prune.options.asap"]


def test_what_dvc_cannot_work_out_is_written_for_it(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FAKE_PARAMS)
    paths = Paths(str(tmp_path / "data"))
    found = []
    for overrides in (
        ["prune.methods=[asap]"],
        ["prune.methods=[asap, first_correct]", "prune.options.asap={ratio: 0.6}"],
    ):
        write_needs(load(str(tmp_path / "p.yaml"), overrides), paths)
        found.append({path.name: path.read_text() for path in Path(paths.needs).iterdir()})
    before, after = found
    assert json.loads(after["score.json"]) == {"needs": ["scores"]}
    assert after == before | {"prune-first_correct.json": after["prune-first_correct.json"]}
    assert "transforms/judging/judge.py" in json.loads(after["prune-first_correct.json"])["code"]


def test_the_teacher_of_opinions_has_to_be_able_to(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FAKE_PARAMS)
    vllm = ["models.big={engine: vllm, model: qwen2.5-coder-1.5b-instruct}", "annotate.model=big"]
    load(str(tmp_path / "p.yaml"), [*vllm, "annotate.opinions=likelihood"])  # nobody asks it
    load(str(tmp_path / "p.yaml"), [*vllm, "prune.methods=[drp]"])
    with pytest.raises(ConfigError, match=r"annotate\.model = 'big': its engine is vllm, which cannot score"):
        load(str(tmp_path / "p.yaml"), [*vllm, "annotate.opinions=likelihood", "prune.methods=[drp]"])
    with pytest.raises(ConfigError, match=r"annotate\.model = 'none': no such model"):
        load(str(tmp_path / "p.yaml"), ["annotate.model=none", "prune.methods=[drp]"])
