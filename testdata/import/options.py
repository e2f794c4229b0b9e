"""Names of the options of kohya's `train_network.py` and of what two interfaces write, each with a value of its type.

    python options.py SD_SCRIPTS KOHYA_SS LORA_SCRIPTS > options.json

The first is a checkout of github.com/kohya-ss/sd-scripts (recorded at 48d368f), the second of bmaltais/kohya_ss (45088f0), the
third of Akegarasu/lora-scripts (fdefba9). Nothing of them is run: options are found by their `add_argument`, the GUI's fields as
the parameters of `train_model`, 秋叶's by their place in the schemas.
"""

import ast
import glob
import json
import os
import re
import sys


def functions(path):
    return {node.name: node for node in ast.walk(ast.parse(open(path, encoding="utf-8").read())) if isinstance(node, ast.FunctionDef)}


def sample(call):
    """A value that the option takes, and that is not off."""
    known = {keyword.arg: keyword.value for keyword in call.keywords}
    if "action" in known:
        return True
    kind = getattr(known.get("type"), "id", "str")
    value = {"int": 2, "float": 0.5, "int_or_float": 2}.get(kind, "text")
    if isinstance(known.get("choices"), (ast.List, ast.Tuple)):
        value = [choice.value for choice in known["choices"].elts][-1]
    return [value] if "nargs" in known else value


def options(function):
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "add_argument":
            names = [name.value for name in node.args if isinstance(name, ast.Constant) and name.value.startswith("--")]
            if names:
                yield names[0][2:], sample(node)


def of_sd_scripts(root):
    library = {}
    for path in sorted(glob.glob(os.path.join(root, "library", "*.py"))):
        for name, function in functions(path).items():
            library.setdefault(name, function)
    found, waiting, seen = {}, [functions(os.path.join(root, name))["setup_parser"] for name in ("train_network.py", "sdxl_train_network.py")], set()
    while waiting:
        function = waiting.pop(0)
        found.update(options(function))
        for node in ast.walk(function):
            name = isinstance(node, ast.Call) and (getattr(node.func, "attr", None) or getattr(node.func, "id", None))
            if name and name.startswith("add_") and name in library and name not in seen:
                seen.add(name)
                waiting.append(library[name])
    return found


def of_gui(root):
    return [argument.arg for argument in functions(os.path.join(root, "kohya_gui", "lora_gui.py"))["train_model"].args.args]


def of_akegarasu(root):
    folder = os.path.join(root, "mikazuki", "schema")
    text = "".join(open(os.path.join(folder, name), encoding="utf-8").read() for name in ("lora-master.ts", "lora-basic.ts", "shared.ts"))
    return sorted(set(re.findall(r"^\s+([a-z]\w*): Schema", text, re.M)))


sd_scripts, kohya_ss, lora_scripts = sys.argv[1:]
found = {"train_network": of_sd_scripts(sd_scripts), "kohya_ss": sorted(of_gui(kohya_ss)), "lora_scripts": of_akegarasu(lora_scripts)}
json.dump(found, sys.stdout, indent=0, sort_keys=True)
print()
