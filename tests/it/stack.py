"""Deploys template.yaml into a moto server on loopback, and holds it there until stdin closes.

Argument: `{"parameters": {...}, "secret": "...", "events": [...], "before": "..."}`. The secret's value is put in, the
events are put on the partner's bus. Prints one line of JSON: the server's address, the stack's outputs, and the
environment of the function that the stack made. With `before`, the text of an older template, the stack is made from
that one; template.yaml follows as an update, and a second line, once a line comes in.
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

# What moto's CloudFormation forgets when it updates it.
NOT_UPDATED_BY_MOTO = ["AWS::DynamoDB::Table", "AWS::KMS::Key"]


def expanded(template, parameters, catalog_key):
    """The template as CloudFormation sees it after the SAM transform, less what moto does not know.

    `catalog_key` stands in for the secret with the catalog's key.
    """
    stack = Translator({}, Parser(), boto_session=boto3.Session()).translate(template, parameters)
    del stack["Outputs"]["DashboardUrl"]
    stack["Resources"].pop("CatalogKey", None)
    stack = json.loads(json.dumps(stack).replace(json.dumps({"Ref": "CatalogKey"}), json.dumps(catalog_key)))
    left_out = [name for name, resource in stack["Resources"].items() if resource["Type"] in UNKNOWN_TO_MOTO]
    for name in left_out:
        stand_in = UNKNOWN_TO_MOTO[stack["Resources"].pop(name)["Type"]]
        stack = json.loads(json.dumps(stack).replace(json.dumps({"Ref": name}), json.dumps({"Ref": stand_in})))
    return stack


def read(text, parameters):
    """The template of this text with the package that `sam deploy` would have uploaded, and all its parameters."""
    template = yaml_parse(text)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://{CODE}/bootstrap.zip"
    # Moto splits a list that is given, but not one that is a default: so everything is given.
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    return template, defaults | parameters


def update_tables(dynamodb, cloudformation, stack, former):
    """Updates the tables of a stack by DynamoDB's own calls, as CloudFormation would.

    Leaves out of the update what moto's CloudFormation would lose by it.
    """
    for name, resource in stack["Resources"].items():
        if resource["Type"] != "AWS::DynamoDB::Table" or name not in former["Resources"]:
            continue
        wanted, had = resource["Properties"], former["Resources"][name]["Properties"]
        # A table with another key would be another table.
        assert wanted["KeySchema"] == had["KeySchema"], name
        outputs = cloudformation.describe_stacks(StackName="archiver")["Stacks"][0]["Outputs"]
        table = next(output["OutputValue"] for output in outputs if output["OutputKey"] == f"{name}Name")
        new = [index for index in wanted.get("GlobalSecondaryIndexes", []) if index not in had.get("GlobalSecondaryIndexes", [])]
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
        assert len(new) <= 1, "CloudFormation adds one index at a time"
        if new:
            dynamodb.update_table(
                TableName=table,
                AttributeDefinitions=wanted["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index} for index in new],
            )
        if wanted.get("StreamSpecification") != had.get("StreamSpecification"):
            stream = {"StreamEnabled": True, **wanted["StreamSpecification"]}
            dynamodb.update_table(TableName=table, StreamSpecification=stream)
    for name, resource in former["Resources"].items():
        if resource["Type"] in NOT_UPDATED_BY_MOTO:
            stack["Resources"][name] = resource


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

    parameters = wanted["parameters"]
    # Its CloudFormation makes no secrets, either.
    secret = client("secretsmanager").create_secret(Name="genesys", SecretString=wanted["secret"])
    parameters["GenesysSecretArn"] = secret["ARN"]
    catalog_key = client("secretsmanager").create_secret(Name="catalog-key", SecretString=64 * "k")["ARN"]
    # `sam deploy` uploads the package.
    package = BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "")
    client("s3").create_bucket(Bucket=CODE)
    client("s3").put_object(Bucket=CODE, Key="bootstrap.zip", Body=package.getvalue())
    # The operator associates the partner event source with a bus of its name. Moto knows a bus by what follows the last slash.
    bus = parameters["PartnerEventBusName"].rsplit("/")[-1]
    client("events").create_event_bus(Name=bus)

    cloudformation = client("cloudformation")

    ready = {CODE}

    def deploy(how, text, former=None):
        template, given = read(text, parameters)
        stack = expanded(template, given, catalog_key)
        if former:
            update_tables(client("dynamodb"), cloudformation, stack, expanded(*read(former, parameters), catalog_key))
        how(
            StackName="archiver",
            TemplateBody=json.dumps(stack),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        # Its CloudFormation leaves versions and Object Lock out.
        lock = {"ObjectLockEnabled": "Enabled"}
        for bucket in client("s3").list_buckets()["Buckets"]:
            if bucket["Name"] not in ready:
                ready.add(bucket["Name"])
                versions = {"Status": "Enabled"}
                client("s3").put_bucket_versioning(Bucket=bucket["Name"], VersioningConfiguration=versions)
                client("s3").put_object_lock_configuration(Bucket=bucket["Name"], ObjectLockConfiguration=lock)

    def report():
        stack = cloudformation.describe_stacks(StackName="archiver")["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        function = client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
        made = {"url": url, "outputs": outputs, "environment": function["Environment"]["Variables"]}
        print(json.dumps(made), file=answer, flush=True)

    newest = (Path(__file__).parents[2] / "template.yaml").read_text()
    deploy(cloudformation.create_stack, wanted.get("before") or newest)
    for event in wanted["events"]:
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        client("events").put_events(Entries=[entry | {"EventBusName": bus}])
    report()
    if wanted.get("before") and sys.stdin.readline():
        deploy(cloudformation.update_stack, newest, former=wanted["before"])
        report()
    sys.stdin.read()
    server.stop()


main()
