"""Prints what CloudFormation would create from a SAM template, as JSON, without AWS.

    python expand.py TEMPLATE Parameter=value ...

Both transforms are done by the code of the installed SAM CLI. What CloudFormation itself does after them is done
here: parameters, conditions and Fn::Sub are resolved; Ref and Fn::GetAtt of other resources stay as they are.
The output has `Resources` and `Outputs`, only those whose condition holds.
"""

import json
import re
import sys
from pathlib import Path

import yaml
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "hookgate",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()


class NoManagedPolicies:
    """The roles of the template are its own: a managed policy would have to be fetched from AWS."""

    def load(self):
        raise NotImplementedError("the template uses a managed policy")


class Resolver:
    """Resolves what depends on parameters only."""

    def __init__(self, values, conditions):
        self.values = values
        self.conditions = conditions

    def holds(self, condition):
        return self.resolve(self.conditions[condition])

    def resolve(self, node):
        if isinstance(node, list):
            return [item for item in map(self.resolve, node) if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            function = getattr(self, name.replace("Fn::", "fn_").lower(), None)
            if function is not None and name in INTRINSIC:
                return function(argument)
        resolved = ((key, self.resolve(value)) for key, value in node.items())
        return {key: value for key, value in resolved if value is not NO_VALUE}

    def ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        return self.values.get(name, {"Ref": name})

    def condition(self, name):
        return self.holds(name)

    def fn_if(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self.holds(condition) else otherwise)

    def fn_equals(self, argument):
        left, right = map(self.resolve, argument)
        return str(left) == str(right)

    def fn_not(self, argument):
        return not self.resolve(argument[0])

    def fn_sub(self, text):
        return re.sub(r"\$\{([^}!]+)\}", lambda match: str(self.values[match[1]]), text)


INTRINSIC = {"Ref", "Condition", "Fn::If", "Fn::Equals", "Fn::Not", "Fn::Sub"}


def main(template_path, *overrides):
    template = yaml_parse(Path(template_path).read_text(encoding="utf-8"))
    parameters = {name: p.get("Default") for name, p in template["Parameters"].items()}
    for override in overrides:
        name, value = override.split("=", 1)
        if name not in parameters:
            sys.exit(f"{template_path} has no parameter {name}")
        parameters[name] = value

    validator = SamTemplateValidator(
        template,
        NoManagedPolicies(),
        region=PSEUDO_PARAMETERS["AWS::Region"],
        parameter_overrides={**PSEUDO_PARAMETERS, **parameters},
        language_extensions_enabled=True,
    )
    translated = yaml.safe_load(validator.get_translated_template_if_valid())

    resolver = Resolver({**PSEUDO_PARAMETERS, **parameters}, translated.get("Conditions", {}))
    created = {
        section: {
            logical_id: resolver.resolve(item)
            for logical_id, item in translated.get(section, {}).items()
            if "Condition" not in item or resolver.holds(item["Condition"])
        }
        for section in ("Resources", "Outputs")
    }
    json.dump(created, sys.stdout, indent=1)


main(*sys.argv[1:])
