"""Prints the environment that `sam local invoke` would start the function with, as JSON. Needs no Docker."""

import json
from pathlib import Path

from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

project = Path(__file__).parents[2]
stacks, _ = SamLocalStackProvider.get_stacks(str(project / "template.yaml"))
function = SamFunctionProvider(stacks).get("ArchiverFunction")
runner = LocalLambdaRunner(
    local_runtime=None,
    function_provider=None,
    cwd=str(project),
    real_path=str(project),
    aws_profile=None,
    aws_region="us-east-1",
    env_vars_values=json.loads((project / "events/local-env.json").read_text()),
)
print(json.dumps(runner._make_env_vars(function).resolve()))
