# Reads tests as data sets write them (assert statements, or check(candidate) as HumanEval has it) and takes them apart: the calls that a program is
# asked for, how each result is compared, and with which value. Runs without any program: where a test calls it, the result is a placeholder (Result).
# Appended to values.py and read_assert.py; PAYLOAD: [{"asserts", "setup", "entryPoint", "prefix"}, ...]; ["tests", place, row] out for each:
# {"checks": [{"calls": [source], "relation", "expected", ...}], "unsupported": [[assert, reason]], "imports": [name], "names": [name], "context"}.
import os
import random
import signal

MAX_CHECKS = 10_000
# For one question. What does not end even then (a power that is one instruction) ends the run.
MAX_SECONDS = 20


class TooLong(BaseException):
    """No Exception, which tests may catch."""


class Recording(ast.NodeTransformer):
    """Puts each assert down instead of checking it."""

    def __init__(self, asserts):
        self.asserts = asserts

    def visit_Assert(self, node):
        self.asserts.append(node.test)
        call = ast.parse("__record__(%d, locals())" % (len(self.asserts) - 1)).body[0]
        return ast.copy_location(call, node)


class TestReader:
    """Reads the tests of one question."""

    def __init__(self, test):
        self.test = test
        self.checks, self.unsupported, self.asserts = [], [], []
        self.scope = {"__name__": "tests", "__record__": self.record}
        self.index = 0

    def read(self):
        random.seed(0)
        prefix_names = self.run_prefix(self.test.get("prefix") or "")
        setup_names = self.run_setup(self.test.get("setup") or "")
        trees = [self.parse(index, text) for index, text in enumerate(self.test["asserts"])]
        entry = self.test.get("entryPoint") or self.entry_of(trees) or (prefix_names[-1] if prefix_names else None)
        modules = self.find_names(trees, setup_names, entry)
        prefix, setup = parsed(self.test.get("prefix") or ""), parsed(self.test.get("setup") or "")
        self.reader = AssertReader(self.scope, setup, modules, any(map(runs_text, [*trees, prefix, setup])))
        for self.index, tree in enumerate(trees):
            try:
                self.run(tree)
            except Exception as error:
                self.leave_out(error)
        return {
            "checks": self.checks, "unsupported": self.unsupported, "imports": sorted(self.reader.imports), "names": sorted(self.names),
        }

    def parse(self, index, text):
        try:
            try:
                return ast.parse(text)
            except IndentationError:  # cut out of a function
                return ast.Module(body=ast.parse("if True:\n" + text).body[0].body, type_ignores=[])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.unsupported.append([index, describe(error)])
            return ast.Module(body=[], type_ignores=[])

    def run_prefix(self, prefix):
        """HumanEval's prompt: imports, helpers, and the function's head with a docstring for its body. Returns the functions that it begins."""
        for source in (prefix, prefix + "\n    pass"):
            try:
                tree = ast.parse(source)
            except (SyntaxError, ValueError):
                continue
            self.run_each(tree)
            return [part.name for part in tree.body if isinstance(part, ast.FunctionDef)]
        return []

    def run_setup(self, setup):
        """Runs after the program, which may be what it needs: what fails here is missed where it is needed. Returns the names that it binds."""
        try:
            tree = ast.parse(setup)
        except (SyntaxError, ValueError):
            return set()
        self.run_each(tree)
        return bound(tree)

    def run_each(self, tree):
        for statement in tree.body:
            try:
                exec(compile(ast.Module(body=[statement], type_ignores=[]), "<setup>", "exec"), self.scope)
            except Exception:
                pass

    @staticmethod
    def entry_of(trees):
        """check(solve)"""
        for tree in trees:
            for part in ast.walk(tree):
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "check" and len(part.args) == 1:
                    if isinstance(part.args[0], ast.Name) and part.args[0].id != "candidate":
                        return part.args[0].id
        return None

    def find_names(self, trees, setup_names, entry):
        """Puts a placeholder for each function of the program into the scope, and modules that nobody imports; returns the latter's names."""
        known = set(dir(builtins)).union(self.scope, setup_names, [entry, "candidate"], *map(bound, trees))
        unknown = set().union(*map(loaded, trees)) - known
        modules = unknown & set(STDLIB)
        for name in modules:
            self.scope[name] = __import__(name)
        self.names = {name for tree in trees for name in called(tree)} & (unknown - modules)
        if entry:
            self.names.add(entry)
        if not self.names:  # every name is known already: the program may be asked for its own `sum`
            self.names = set([name for tree in trees for part in ast.walk(tree) if isinstance(part, ast.Assert) for name in called(part.test)][:1])
        for name in self.names:
            self.scope[name] = Function(name)
        self.scope.setdefault("candidate", Function(entry) if entry else None)
        return modules

    def run(self, tree):
        """Runs tests as they stand, each assert being put down; check(candidate) and test_…() are called where they are not called there."""
        tree = ast.fix_missing_locations(Recording(self.asserts).visit(tree))
        before = len(self.checks) + len(self.unsupported)
        exec(compile(tree, "<tests>", "exec"), self.scope)
        for part in tree.body:
            if len(self.checks) + len(self.unsupported) > before or not isinstance(part, ast.FunctionDef):
                continue
            arity = len(part.args.args)
            if part.name == "check" and arity == 1:
                self.scope["check"](self.scope["candidate"])
            elif part.name.startswith("test") and arity == 0:
                self.scope[part.name]()
                before = len(self.checks) + len(self.unsupported)  # others follow

    def record(self, number, scope):
        node, local = self.asserts[number], scope if scope is not self.scope else {}
        if len(self.checks) >= MAX_CHECKS:
            raise Unsupported("more than %d checks" % MAX_CHECKS)
        try:
            if self.reader.mentions(node, local):
                self.checks.append(self.reader.check(node, local))
            elif not self.reader.value(node, local):
                raise Unsupported("fails whatever the program returns")
        except Exception as error:
            self.leave_out(error)

    def leave_out(self, error):
        self.unsupported.append([self.index, describe(error)])


def describe(error):
    return str(error) if isinstance(error, Unsupported) else "%s: %s" % (type(error).__name__, str(error)[:120])


def called(tree):
    return [part.func.id for part in ast.walk(tree) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]


def too_long(number, frame):
    raise TooLong


def main(payload):
    channel, nowhere = os.dup(1), os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.write(channel, b'["ready"]\n')
    signal.signal(signal.SIGALRM, too_long)
    # Pyodide has none: there the run's limit of time ends it, as it does for one instruction that never ends.
    set_timer = getattr(signal, "setitimer", lambda timer, seconds: None)
    for place, test in enumerate(json.loads(payload)):
        try:
            set_timer(signal.ITIMER_REAL, MAX_SECONDS)
            row = TestReader(test).read()
            set_timer(signal.ITIMER_REAL, 0)
        except TooLong:
            row = {"checks": [], "unsupported": [[0, "reading them takes more than %d s" % MAX_SECONDS]], "imports": [], "names": []}
        line = json.dumps(["tests", place, row])
        with os.fdopen(os.dup(channel), "w") as output:
            output.write(line + "\n")
    os._exit(0)


main(PAYLOAD)
