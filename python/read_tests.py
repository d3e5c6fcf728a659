# Reads tests as data sets write them (assert statements, or check(candidate) as HumanEval has it) and takes them apart: the calls that a program is
# asked for, how each result is compared, and with which value. Runs without any program: where a test calls it, the result is a placeholder (Result).
# Appended to values.py; PAYLOAD: [{"asserts", "setup", "entryPoint", "prefix"}, ...]; one line out for each:
# {"checks": [{"calls": [source], "relation", "expected", ...}], "unsupported": [[assert, reason]], "imports": [name], "names": [name], "context"}.
import ast
import builtins
import os
import random

COMPARISONS = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}
FLIPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "is": "is", "is not": "is not"}
# What may stand around a call where it is evaluated: nothing in these says what is expected.
WRAPPERS = {"list", "tuple", "set", "frozenset", "sorted", "len", "sum", "min", "max", "abs", "str", "int", "float", "bool", "dict", "round", "next",
            "iter", "repr", "bytes"}
BUILTIN_KINDS = (str, bytes, int, float, complex, list, tuple, set, frozenset, dict, range)
STDLIB = getattr(sys, "stdlib_module_names", ())
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


def bound(tree):
    """Names that a tree's statements bind, at whatever depth."""
    names = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(part.name)
        elif isinstance(part, ast.arg):
            names.add(part.arg)
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).split(".")[0])
        elif isinstance(part, ast.ExceptHandler) and part.name:
            names.add(part.name)
    return names


class Recording(ast.NodeTransformer):
    """Puts each assert down instead of checking it."""

    def __init__(self, asserts):
        self.asserts = asserts

    def visit_Assert(self, node):
        self.asserts.append(node.test)
        call = ast.parse("__record__(%d, locals())" % (len(self.asserts) - 1)).body[0]
        return ast.copy_location(call, node)


class Reader:
    def __init__(self, test):
        self.test = test
        self.checks, self.unsupported, self.asserts, self.imports = [], [], [], set()
        self.scope = {"__name__": "tests", "__record__": self.record}
        self.index = 0

    def read(self):
        random.seed(0)
        entry = self.test.get("entryPoint")
        self.run_prefix(self.test.get("prefix") or "")
        self.setup_names = self.run_setup(self.test.get("setup") or "")
        trees = [self.parse(index, text) for index, text in enumerate(self.test["asserts"])]
        known = set(dir(builtins)) | set(self.scope) | self.setup_names | {entry, "candidate"}
        for tree in trees:
            known |= bound(tree)
        unknown = set().union(*map(loaded, trees)) - known
        for name in sorted(unknown & set(STDLIB)):
            self.scope[name] = __import__(name)
        self.modules = unknown & set(STDLIB)
        called = {part.func.id for tree in trees for part in ast.walk(tree) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
        self.names = {entry} if entry else set()
        self.names |= (unknown & called) - self.modules
        if not self.names:
            self.names = self.shadowing(trees)
        for name in self.names:
            self.scope[name] = Function(name)
        self.scope.setdefault("candidate", Function(entry) if entry else None)
        for self.index, tree in enumerate(trees):
            self.run(tree)
        return {
            "checks": self.checks, "unsupported": self.unsupported, "imports": sorted(self.imports), "names": sorted(self.names),
        }

    @staticmethod
    def shadowing(trees):
        """Where every name is known already, the outermost call's: a program may be asked for its own `sum`."""
        asserts = [part.test for tree in trees for part in ast.walk(tree) if isinstance(part, ast.Assert)]
        calls = [part.func.id for test in asserts for part in ast.walk(test) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
        return set(calls[:1])

    def parse(self, index, text):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.unsupported.append([index, "%s: %s" % (type(error).__name__, str(error)[:120])])
            return ast.Module(body=[], type_ignores=[])

    def run_prefix(self, prefix):
        """HumanEval's prompt: imports, helpers, and the function's head with a docstring for its body."""
        for source in (prefix, prefix + "\n    pass"):
            try:
                code = compile(source, "<prefix>", "exec")
            except (SyntaxError, ValueError):
                continue
            try:
                exec(code, self.scope)
            except Exception:
                pass  # what it defines is missed where it is needed, and named there
            return

    def run_setup(self, setup):
        """Runs after the program, which may be what it needs: each statement by itself, and what fails is missed where it is needed."""
        try:
            tree = ast.parse(setup)
        except (SyntaxError, ValueError):
            return set()
        for statement in tree.body:
            try:
                exec(compile(ast.Module(body=[statement], type_ignores=[]), "<setup>", "exec"), self.scope)
            except Exception:
                pass
        return bound(tree)

    def run(self, tree):
        tree = ast.fix_missing_locations(Recording(self.asserts).visit(tree))
        checks = [part for part in tree.body if isinstance(part, ast.FunctionDef) and part.name == "check"]
        try:
            exec(compile(tree, "<tests>", "exec"), self.scope)
            calls_check = any("check" in loaded(part) for part in tree.body if not isinstance(part, ast.FunctionDef))
            if checks and not calls_check:
                self.scope["check"](self.scope["candidate"])
        except Exception as error:
            self.unsupported.append([self.index, self.describe(error)])

    @staticmethod
    def describe(error):
        return str(error) if isinstance(error, Unsupported) else "%s: %s" % (type(error).__name__, str(error)[:120])

    def record(self, number, scope):
        node = self.asserts[number]
        try:
            if self.mentions(node, scope):
                self.checks.append(self.check(node, scope))
        except Exception as error:
            self.unsupported.append([self.index, self.describe(error)])

    # One assert

    def check(self, node, scope):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and self.sendable(node.operand, scope):
            return self.truth(node.operand, scope, False)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            found = self.comparison(node.left, COMPARISONS[type(node.ops[0])], node.comparators[0], scope)
            if found:
                return found
        if isinstance(node, ast.Call):
            found = self.is_close(node, scope)
            if found:
                return found
        if self.sendable(node, scope):
            return self.truth(node, scope, True)
        return self.oracle(node, scope)

    def truth(self, node, scope, expected):
        # the same for both: whether there is a `not` would say what is expected
        source = ast.UnaryOp(op=ast.Not(), operand=ast.UnaryOp(op=ast.Not(), operand=self.sendable(node, scope)))
        return {"calls": [self.source(source)], "relation": "eq", "expected": encode(expected)}

    def comparison(self, left, relation, right, scope):
        if self.mentions(right, scope):
            if self.mentions(left, scope):
                raise Unsupported("compares the program with itself")
            if relation not in FLIPPED:
                return None
            left, relation, right = right, FLIPPED[relation], left
        call = self.sendable(left, scope)
        if not call:
            return self.is_near(left, relation, right, scope)
        expected = self.value(right, scope)
        is_number = type(expected) in (bool, int, float)
        if relation in ("lt", "le", "gt", "ge") and not is_number:
            return None
        if relation in ("in", "not in") and type(expected) not in (list, tuple, set, frozenset):
            return None
        if relation in ("is", "is not") and type(expected) not in (bool, type(None)):
            raise Unsupported("asks for the identity of a %s" % type(expected).__name__)
        return {"calls": [self.source(call)], "relation": relation, "expected": self.expected(expected)}

    def is_near(self, left, relation, right, scope):
        """abs(call - expected) < tolerance"""
        is_abs = isinstance(left, ast.Call) and len(left.args) == 1 and ast.unparse(left.func) in ("abs", "math.fabs")
        if not is_abs or relation not in ("lt", "le") or not isinstance(left.args[0], ast.BinOp) or not isinstance(left.args[0].op, ast.Sub):
            return None
        sides = [left.args[0].left, left.args[0].right]
        mentioned = [self.mentions(side, scope) for side in sides]
        if mentioned == [True, True]:
            raise Unsupported("compares the program with itself")
        call, other = sides if mentioned[0] else reversed(sides)
        call = self.sendable(call, scope)
        if not call:
            return None
        return {
            "calls": [self.source(call)], "relation": "near", "expected": self.number(self.value(other, scope)),
            "absolute": self.number(self.value(right, scope)), "isStrict": relation == "lt",
        }

    def is_close(self, node, scope):
        """math.isclose(call, expected, rel_tol=..., abs_tol=...)"""
        if ast.unparse(node.func) not in ("math.isclose", "isclose") or len(node.args) != 2:
            return None
        mentioned = [self.mentions(side, scope) for side in node.args]
        if mentioned == [True, True]:
            raise Unsupported("compares the program with itself")
        if mentioned == [False, False]:
            return None
        call, other = node.args if mentioned[0] else reversed(node.args)
        call = self.sendable(call, scope)
        options = {keyword.arg: self.value(keyword.value, scope) for keyword in node.keywords}
        if not call or set(options) - {"rel_tol", "abs_tol"}:
            return None
        return {
            "calls": [self.source(call)], "relation": "close", "expected": self.number(self.value(other, scope)),
            "relative": self.number(options.get("rel_tol", 1e-9)), "absolute": self.number(options.get("abs_tol", 0.0)),
        }

    def oracle(self, node, scope):
        """Anything else: asked of the values that came back, in a run of its own without the program (judge_values.py)."""
        calls, reader = [], self

        class Taking(ast.NodeTransformer):
            def visit(self, part):
                if isinstance(part, ast.expr) and reader.mentions(part, scope):
                    call = reader.sendable(part, scope)
                    if call:
                        calls.append(reader.source(call))
                        return ast.Name(id="__value_%d__" % (len(calls) - 1), ctx=ast.Load())
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):  # the method is asked of the value
                    part.func.value = self.visit(part.func.value)
                    part.args, part.keywords = [self.visit(one) for one in part.args], [self.visit(one) for one in part.keywords]
                    return part
                return ast.NodeTransformer.generic_visit(self, part)

        taken = Taking().visit(ast.parse(ast.unparse(node), mode="eval").body)
        if loaded(taken) & {"eval", "exec", "compile", "__import__"}:
            raise Unsupported("evaluates what the program returns")
        if self.mentions(taken, scope) or not calls:
            raise Unsupported("the program is called in a way that cannot be taken apart")
        local = {name: value for name, value in scope.items() if scope is not self.scope and name in loaded(taken) - bound(taken)}
        modules = {name: value.__name__ for name, value in local.items() if type(value) is type(ast)}

        class Naming(ast.NodeTransformer):
            def visit_Name(self, part):
                return literal(local[part.id]) if part.id in local and part.id not in modules else part

        return {"calls": calls, "relation": "oracle", "expected": "null", "oracle": self.source(Naming().visit(taken)), "modules": modules}

    # Parts of an assert

    def is_program(self, name, scope):
        return type(scope.get(name, self.scope.get(name))) in (Function, Result)

    def mentions(self, node, scope):
        return any(self.is_program(name, scope) for name in loaded(node))

    def sendable(self, node, scope):
        """A call of the program, with what may stand around it, ready to be evaluated beside the program; None where it is something else."""
        if isinstance(node, ast.Name):
            value = scope.get(node.id, self.scope.get(node.id))
            return value.node if type(value) is Result else None
        if isinstance(node, ast.Subscript) and not self.mentions(node.slice, scope):
            base = self.sendable(node.value, scope)
            return base and ast.Subscript(value=base, slice=self.closed(node.slice, scope), ctx=ast.Load())
        if isinstance(node, ast.Attribute):
            base = self.sendable(node.value, scope)
            return base and ast.Attribute(value=base, attr=node.attr, ctx=ast.Load())
        if not isinstance(node, ast.Call):
            return None
        arguments = [part.value if isinstance(part, ast.Starred) else part for part in node.args] + [part.value for part in node.keywords]
        if isinstance(node.func, ast.Name) and self.is_function(node.func.id, scope):
            return self.closed(node, scope)
        if isinstance(node.func, ast.Attribute):
            base = self.sendable(node.func.value, scope)
            if not base or (arguments and not self.is_object(node.func, scope)):
                return None
            closed = self.closed(ast.Call(func=ast.Constant(value=None), args=node.args, keywords=node.keywords), scope)
            return ast.Call(func=ast.Attribute(value=base, attr=node.func.attr, ctx=ast.Load()), args=closed.args, keywords=closed.keywords)
        if isinstance(node.func, ast.Name) and node.func.id in WRAPPERS and len(node.args) > 0 and node.func.id not in self.setup_names:
            inner = self.sendable(node.args[0], scope)
            if not inner or any(self.mentions(part, scope) for part in arguments[1:]):
                return None
            if len(arguments) > 1 and node.func.id not in ("round", "sorted"):
                return None
            closed = self.closed(ast.Call(func=node.func, args=node.args[1:], keywords=node.keywords), scope)
            return ast.Call(func=closed.func, args=[inner] + closed.args, keywords=closed.keywords)
        return None

    def is_object(self, method, scope):
        """Solution().solve: arguments of such a method are the call's, those of a value's method would say what is expected: f(1).startswith("a")."""
        made = method.value
        is_made = isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and self.is_function(made.func.id, scope) and made.func.id[0].isupper()
        return is_made and not any(hasattr(kind, method.attr) for kind in BUILTIN_KINDS)

    def is_function(self, name, scope):
        return type(scope.get(name, self.scope.get(name))) is Function

    def closed(self, node, scope):
        """The same expression without names that only the tests have: their values take the names' place."""
        reader = self
        hidden = bound(node)  # of comprehensions and lambdas

        class Closing(ast.NodeTransformer):
            def visit_Name(self, part):
                name = part.id
                value = scope.get(name, reader.scope.get(name))
                if name in hidden or not isinstance(part.ctx, ast.Load):
                    return part
                if type(value) is Result:
                    return value.node
                if type(value) is Function:
                    return ast.Name(id=value.name, ctx=ast.Load())
                if name in reader.modules:
                    reader.imports.add(name)
                    return part
                is_tests = scope is not reader.scope and name in scope or name in reader.scope and name not in reader.setup_names
                return literal(value) if is_tests else part

            def visit_Call(self, part):
                # a helper of the tests or of the prefix: its value, for the program may not have it
                if isinstance(part.func, ast.Name) and not reader.mentions(part, scope) and not loaded(part) & hidden:
                    name = part.func.id
                    if name not in dir(builtins) and name not in reader.setup_names and name not in reader.modules:
                        if name in scope or name in reader.scope:
                            return literal(reader.value(part, scope))
                if isinstance(part.func, ast.Attribute) and not reader.mentions(part, scope) and not loaded(part) & hidden:
                    if scope is not reader.scope and loaded(part.func) & set(scope):
                        return literal(reader.value(part, scope))
                return self.generic_visit(part)

        return Closing().visit(ast.parse(ast.unparse(node), mode="eval").body)

    def value(self, node, scope):
        code = compile(ast.fix_missing_locations(ast.Expression(body=ast.parse(ast.unparse(node), mode="eval").body)), "<expected>", "eval")
        return eval(code, self.scope, None if scope is self.scope else scope)

    @staticmethod
    def number(value):
        if type(value) not in (bool, int, float):
            raise Unsupported("expected a number, got a %s" % type(value).__name__)
        return encode(value)

    @staticmethod
    def expected(value):
        text = encode(value)
        if '["x",' in text:
            raise Unsupported("expects a %s, not a built-in value" % type(value).__name__)
        return text

    @staticmethod
    def source(node):
        return ast.unparse(ast.fix_missing_locations(ast.Expression(body=node)))


def main(payload):
    channel, nowhere = os.dup(1), os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.write(channel, b'["ready"]\n')
    for test in json.loads(payload):
        reader = Reader(test)
        with os.fdopen(os.dup(channel), "w") as output:
            output.write(json.dumps(["tests", reader.read()]) + "\n")
    os._exit(0)


main(PAYLOAD)
