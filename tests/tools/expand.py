"""Prints what CloudFormation would create from a SAM template, as JSON, without AWS.

    python expand.py TEMPLATE [Parameter=value ...] [-- [Parameter=value ...]] ...

Both transforms are done by the code of the installed SAM CLI. What CloudFormation itself does after them is done
here: rules are asserted; parameters, conditions and the functions of INTRINSIC are resolved; what refers to other
resources stays as it is. One line for each set of parameters:

* `Refused`: what a rule says against the parameters; or
* `Resources` and `Outputs`, only those whose condition holds; `Declared`, how many there are of each, of `Parameters`
  and of the largest of the `Mappings`, whether their conditions hold or not; and `Bytes`, which the template has at most
  when both transforms are done.
"""

import copy
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
PLACEHOLDER = re.compile(r"\$\{([^}!]+)\}")


class NoManagedPolicies:
    """The roles of the template are its own: a managed policy would have to be fetched from AWS."""

    def load(self):
        raise NotImplementedError("the template uses a managed policy")


class Resolver:
    """Resolves what depends on parameters only."""

    def __init__(self, values, translated):
        self.values = values
        self.conditions = translated.get("Conditions", {})
        self.resources = translated["Resources"]

    def holds(self, condition):
        return self.resolve(self.conditions[condition])

    def resolve(self, node):
        if isinstance(node, list):
            return [item for item in map(self.resolve, node) if item is not NO_VALUE]
        if isinstance(node, str) and any(name in self.resources for name in PLACEHOLDER.findall(node)):
            # Of an Fn::Sub, SAM CLI leaves the bare text when it names a resource.
            return {"Fn::Sub": node}
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

    def fn_and(self, argument):
        return all(map(self.resolve, argument))

    def fn_or(self, argument):
        return any(map(self.resolve, argument))

    def fn_if(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self.holds(condition) else otherwise)

    def fn_equals(self, argument):
        left, right = map(self.resolve, argument)
        return str(left) == str(right)

    def fn_not(self, argument):
        return not self.resolve(argument[0])

    def fn_sub(self, text):
        return self.resolve(PLACEHOLDER.sub(lambda match: str(self.values.get(match[1], match[0])), text))


INTRINSIC = {
    "Condition",
    "Fn::And",
    "Fn::Equals",
    "Fn::If",
    "Fn::Not",
    "Fn::Or",
    "Fn::Sub",
    "Ref",
}


LOOP = "Fn::ForEach::"


def bytes_at_most(template, translated, parameters):
    """What is generated, and what is written with its loops unrolled: CloudFormation keeps the conditions and functions
    that are resolved here, so its own template is larger than `translated`."""

    def written(name, node):
        size = len(json.dumps({name: node}))
        if name.startswith(LOOP):
            _, collection, fragment = node
            values = parameters[collection["Ref"]].split(",") if isinstance(collection, dict) else collection
            size += len(json.dumps(fragment)) * len(values)
        return size

    sections = (template[section] for section in template if isinstance(template[section], dict))
    return len(json.dumps(translated)) + sum(written(*item) for section in sections for item in section.items())


def expand(template, overrides):
    parameters = {name: p.get("Default") for name, p in template["Parameters"].items()}
    for override in overrides:
        name, value = override.split("=", 1)
        if name not in parameters:
            sys.exit(f"the template has no parameter {name}")
        parameters[name] = value

    validator = SamTemplateValidator(
        copy.deepcopy(template),
        NoManagedPolicies(),
        region=PSEUDO_PARAMETERS["AWS::Region"],
        parameter_overrides={**PSEUDO_PARAMETERS, **parameters},
        language_extensions_enabled=True,
    )
    # LibYAML's loader: the one in Python takes longer than all the rest.
    translated = yaml.load(validator.get_translated_template_if_valid(), Loader=yaml.CSafeLoader)

    resolver = Resolver({**PSEUDO_PARAMETERS, **parameters}, translated)
    for rule in translated.get("Rules", {}).values():
        if resolver.resolve(rule.get("RuleCondition", True)):
            for assertion in rule["Assertions"]:
                if not resolver.resolve(assertion["Assert"]):
                    return {"Refused": assertion["AssertDescription"]}

    created = {
        section: {
            logical_id: resolver.resolve({key: value for key, value in item.items() if key != "Condition"})
            for logical_id, item in translated.get(section, {}).items()
            if "Condition" not in item or resolver.holds(item["Condition"])
        }
        for section in ("Resources", "Outputs")
    }
    declared = {section: len(translated.get(section, {})) for section in ("Resources", "Outputs", "Parameters")}
    declared["Mappings"] = max(map(len, translated.get("Mappings", {}).values()), default=0)
    return {**created, "Declared": declared, "Bytes": bytes_at_most(template, translated, parameters)}


def main(template_path, *arguments):
    sets = [[]]
    for argument in arguments:
        if argument == "--":
            sets.append([])
        else:
            sets[-1].append(argument)
    template = yaml_parse(Path(template_path).read_text(encoding="utf-8"))
    for overrides in sets:
        print(json.dumps(expand(template, overrides)))


main(*sys.argv[1:])
