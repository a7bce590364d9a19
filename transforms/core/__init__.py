"""What everything stands on: records, their schema, errors, configuration, seeds. Imports nothing of ours."""
