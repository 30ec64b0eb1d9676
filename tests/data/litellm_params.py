#!/usr/bin/env python3
"""Lists the names of the parameters that LiteLLM keeps for itself, or reads in `litellm_params`, one on a line.

Reads them in a wheel of LiteLLM without running it: the dataclasses of `types/litellm_params.py` that
`all_litellm_params` is made of, the callbacks' and the prices' of `types/utils.py`, and the fields of a deployment of
`types/router.py`.

    python3 tests/data/litellm_params.py litellm-1.110.2-*.whl > tests/data/litellm_params.txt
"""

import ast
import sys
import zipfile


def classes(source):
    """Returns the classes of a file by their names."""
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def wire_name(field):
    """Returns the name that a field has in a request: `field(metadata=wire("no-log"))` renames it."""
    for call in ast.walk(field):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "wire":
            (name,) = call.args
            return name.value if isinstance(name, ast.Constant) else name.id
    return field.target.id


def fields(known, name):
    """Returns the names of a class's fields and of those that it inherits."""
    node = known[name]
    inherited = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in known]
    own = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    return [one for base in inherited for one in fields(known, base)] + [wire_name(item) for item in own]


def constants(source):
    """Returns the module's constants that are strings, or tuples of strings, by their names."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            try:
                found[node.target.id] = ast.literal_eval(node.value)
            except ValueError:
                pass
    return found


def owned(source):
    """Returns the names of all leaves of the roots in `LITELLM_OWNED_ROOTS`, and the artifacts."""
    known, values = classes(source), constants(source)
    names = list(values["KWARG_ARTIFACTS"])
    for root in ("ConnectionSettings", "LiteLLMOptions", "InternalState"):
        for leaf in known[root].body:
            if isinstance(leaf, ast.AnnAssign):
                names += fields(known, leaf.annotation.id)
    return [values.get(name, name) for name in names]


def main():
    wheel = zipfile.ZipFile(sys.argv[1])
    read = lambda path: wheel.read(f"litellm/types/{path}").decode()
    utils, router = classes(read("utils.py")), classes(read("router.py"))
    known = {**utils, **router}
    names = set(owned(read("litellm_params.py")))
    for name in ("StandardCallbackDynamicParams", "CustomPricingLiteLLMParams", "LiteLLM_Params", "LiteLLMParamsTypedDict"):
        names.update(fields(known, name))
    version = sys.argv[1].rsplit("/", 1)[-1].split("-")[1]
    print(f"# The parameters that LiteLLM {version} keeps for itself or reads in `litellm_params`.")
    print("# Written by litellm_params.py from its wheel.")
    print("\n".join(sorted(names)))


main()
