# What stands for a program where there is none, and small questions about Python's source. Appended to values.py.
import ast
import builtins

encode = make_encoder()


class Unsupported(Exception):
    pass


class Result:
    """What a program is going to return: the source of the call."""

    def __init__(self, node):
        self.node = node

    def __bool__(self):
        raise Unsupported("what follows depends on what the program returns")

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __iter__ = __len__ = __getitem__ = lambda self, *rest: bool(self)
    __hash__ = None


class Function:
    """The function that a program is asked for."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, **kwargs):
        return Result(ast.Call(
            func=ast.Name(id=self.name, ctx=ast.Load()),
            args=[self.argument(value) for value in args],
            keywords=[ast.keyword(arg=key, value=self.argument(value)) for key, value in kwargs.items()],
        ))

    @staticmethod
    def argument(value):
        return value.node if type(value) is Result else literal(value)


def literal(value):
    """Source of a value that consists of built-ins."""
    if type(value) is Function:
        return ast.Name(id=value.name, ctx=ast.Load())
    source = repr(value)
    try:
        node = ast.parse(source, mode="eval").body
        if encode(ast.literal_eval(node)) == encode(value):
            return node
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    if type(value) is float:
        return ast.parse("float(%r)" % source, mode="eval").body
    raise Unsupported("%s cannot be written as a literal" % type(value).__name__)


def loaded(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def runs_text(tree):
    """Whether data may become code in it; judge_values.py refuses it when it happens."""
    words = {"eval", "exec", "compile", "__import__", "pickle", "marshal", "importlib"}
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and part.id in words or isinstance(part, ast.Attribute) and part.attr in {"eval", "exec"}:
            return True
        if isinstance(part, ast.ImportFrom) and part.module in words or isinstance(part, ast.alias) and part.name in words:
            return True
    return False


def parsed(source):
    """Of a head without a body too; empty where it is no Python."""
    for text in (source, source + "\n    pass"):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            pass
    return ast.Module(body=[], type_ignores=[])


def imported(tree):
    return {(part.asname or part.name).split(".")[0] for part in ast.walk(tree) if isinstance(part, ast.alias)}


def bound(tree):
    """Names that a tree's statements bind, at whatever depth."""
    names = imported(tree)
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(part.name)
        elif isinstance(part, ast.arg):
            names.add(part.arg)
        elif isinstance(part, ast.ExceptHandler) and part.name:
            names.add(part.name)
    return names
