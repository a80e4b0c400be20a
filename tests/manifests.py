"""Reads a manifest from standard input, checks its core objects against Kubernetes' own schemas and prints all of its
objects as JSON. Custom resources are passed on as they are: tests/it/kubernetes knows what they may hold."""

import json
import sys

import kubernetes_validate
import yaml

KUBERNETES = "1.37.0"


class Loader(yaml.SafeLoader):
    """Of two equal keys PyYAML would silently take the second."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                sys.exit(f"{name} stands twice in one mapping, at line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


objects = list(yaml.load_all(sys.stdin, Loader))
for thing in objects:
    try:
        # Strict: a field that the schema does not have fails.
        kubernetes_validate.validate(thing, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        pass
    except kubernetes_validate.ValidationError as error:
        path = ".".join(str(part) for part in error.path)
        sys.exit(f"{thing['kind']} {path}: {error.message}")
json.dump(objects, sys.stdout)
