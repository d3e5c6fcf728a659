# Decides about values that a program returned, where that takes more than a comparison. The tests' own helpers run here, the program does not.
# Appended to values.py; PAYLOAD: {"prefix", "setup", "asserts", "questions": [{"oracle", "modules", "values"}]}; out: ["verdict", index, true|false].
import ast
import builtins
import os


def decode(data):
    if not isinstance(data, list):
        return data
    tag, rest = data[0], data[1:]
    if tag == "i":
        return int(rest[0], 16)
    if tag == "f":
        return float(rest[0])
    if tag == "c":
        return complex(float(rest[0]), float(rest[1]))
    if tag == "b":
        return bytes.fromhex(rest[0])
    if tag == "u":
        return bytes.fromhex(rest[0]).decode("utf-8", "surrogatepass")
    items = [decode(item) for item in rest]
    if tag == "l":
        return items
    if tag == "t":
        return tuple(items)
    if tag == "s":
        return set(items)
    if tag == "q":
        return deque(items)
    if tag == "r":
        length, start, step = items
        return range(start, start + length * (step or 1), step or 1)
    if tag in ("d", "o"):
        return (OrderedDict if tag == "o" else dict)(zip(items[::2], items[1::2]))
    raise ValueError("not a built-in value")


def run_helpers(source, scope):
    """Definitions and imports of the tests, each by itself; what fails is missed where it is needed."""
    for ending in ("", "\n    pass"):
        try:
            tree = ast.parse(source + ending)
        except (SyntaxError, ValueError):
            continue
        for statement in tree.body:
            if isinstance(statement, ast.Assert) or (isinstance(statement, ast.FunctionDef) and statement.name == "check"):
                continue
            try:
                exec(compile(ast.Module(body=[statement], type_ignores=[]), "<tests>", "exec"), scope)
            except Exception:
                pass
        return


class Refused(Exception):
    pass


def refuse_code(event, args):
    """Values come from a program: what runs them as code could write a verdict. Modules that are imported late may run."""
    if event == "pickle.find_class" or event == "exec" and not args[0].co_filename.startswith(("<oracle>", "<frozen ", "/")):
        raise Refused


def main(payload):
    channel, nowhere = os.dup(1), os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.write(channel, b'["ready"]\n')
    job = json.loads(payload)
    scope = {"__name__": "tests"}
    for source in [job.get("prefix") or "", job.get("setup") or ""] + job["asserts"]:
        run_helpers(source, scope)
    oracles = [prepare(question, scope) for question in job["questions"]]
    sys.addaudithook(refuse_code)
    for index, (oracle, local) in enumerate(oracles):
        try:
            holds = bool(eval(oracle, local))
        except Exception:
            holds = False
        os.write(channel, b'["verdict",%d,%s]\n' % (index, b"true" if holds else b"false"))
    os._exit(0)


def prepare(question, scope):
    """The oracle's code and its names. A value that cannot be made is missed there."""
    try:
        values = {"__value_%d__" % place: decode(value) for place, value in enumerate(question["values"])}
        local = dict(scope, **values)
        for name, module in question["modules"].items():
            local[name] = __import__(module, fromlist=["_"])
        for name in ast_names(question["oracle"]) - set(local) - set(dir(builtins)):
            local[name] = __import__(name)
        return compile(question["oracle"], "<oracle>", "eval"), local
    except Exception:
        return compile("False", "<oracle>", "eval"), {}


def ast_names(source):
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


main(PAYLOAD)
