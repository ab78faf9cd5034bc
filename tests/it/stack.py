"""Deploys template.yaml into a moto server on loopback, and holds it there until stdin closes.

Argument: `{"parameters": {...}, "secret": "...", "events": [...]}`. The secret's value is put in, the events are put on
the partner's bus. Prints one line of JSON: the server's address, the stack's outputs, and the environment of the
function that the stack made.
"""

import json
import logging
import os
import sys
import zipfile
from io import BytesIO
from pathlib import Path

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import boto3
from moto.server import ThreadedMotoServer
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

CODE = "packages"

# What moto's CloudFormation cannot make, and what stands in for it where others refer to it.
UNKNOWN_TO_MOTO = {
    "AWS::CloudWatch::Alarm": None,
    "AWS::CloudWatch::Dashboard": None,
    "AWS::Lambda::Alias": "ArchiverFunction",
    "AWS::Lambda::EventInvokeConfig": None,
    "AWS::Lambda::Version": "ArchiverFunction",
    "AWS::S3::BucketPolicy": None,
    "AWS::SQS::QueuePolicy": None,
}


def expanded(template, parameters):
    """The template as CloudFormation sees it after the SAM transform, less what moto does not know."""
    stack = Translator({}, Parser(), boto_session=boto3.Session()).translate(template, parameters)
    del stack["Outputs"]["DashboardUrl"]
    left_out = [name for name, resource in stack["Resources"].items() if resource["Type"] in UNKNOWN_TO_MOTO]
    for name in left_out:
        stand_in = UNKNOWN_TO_MOTO[stack["Resources"].pop(name)["Type"]]
        stack = json.loads(json.dumps(stack).replace(json.dumps({"Ref": name}), json.dumps({"Ref": stand_in})))
    return stack


def main():
    wanted = json.loads(sys.argv[1])
    # Nobody but this script is to write to stdout (moto looks for Docker there), and of the log only errors are of interest.
    answer, sys.stdout = sys.stdout, open(os.devnull, "w")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://%s:%s" % server.get_host_and_port()

    def client(service):
        return boto3.client(service, endpoint_url=url)

    template = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
    # Moto splits a list that is given, but not one that is a default: so everything is given.
    parameters = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    parameters |= wanted["parameters"]
    # Its CloudFormation makes no secrets, either.
    secret = client("secretsmanager").create_secret(Name="genesys", SecretString=wanted["secret"])
    parameters["GenesysSecretArn"] = secret["ARN"]
    # `sam deploy` uploads the package.
    package = BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "")
    client("s3").create_bucket(Bucket=CODE)
    client("s3").put_object(Bucket=CODE, Key="bootstrap.zip", Body=package.getvalue())
    template["Resources"]["ArchiverFunction"]["Properties"]["CodeUri"] = f"s3://{CODE}/bootstrap.zip"
    # The operator associates the partner event source with a bus of its name. Moto knows a bus by what follows the last slash.
    bus = parameters["PartnerEventBusName"].rsplit("/")[-1]
    client("events").create_event_bus(Name=bus)

    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName="archiver",
        TemplateBody=json.dumps(expanded(template, parameters)),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    for event in wanted["events"]:
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        client("events").put_events(Entries=[entry | {"EventBusName": bus}])

    stack = cloudformation.describe_stacks(StackName="archiver")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    function = client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
    made = {"url": url, "outputs": outputs, "environment": function["Environment"]["Variables"]}
    print(json.dumps(made), file=answer, flush=True)
    sys.stdin.read()
    server.stop()


main()
