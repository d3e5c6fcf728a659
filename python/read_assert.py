# Takes one assert apart: the calls of the program in it, the relation, and the expected value. Appended to placeholders.py.
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


class AssertReader:
    """Of one question. `scope`: what prefix, setup and tests define; `setup`: its tree; the program's run has its names too; `modules`:
    those that the tests name without importing them. `local`, of an assert: the variables of the function that it stands in."""

    def __init__(self, scope, setup, modules, runs_text):
        self.scope, self.modules, self.runs_text = scope, modules, runs_text
        self.setup_names, self.setup_own = bound(setup), bound(setup) - imported(setup)
        self.imports = set()

    def check(self, node, local):
        if isinstance(node, ast.Tuple) and node.elts:
            raise Unsupported("a tuple is true whatever it holds")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and self.sendable(node.operand, local):
            return self.truth(node.operand, local, False)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            found = self.comparison(node.left, COMPARISONS[type(node.ops[0])], node.comparators[0], local)
            if found:
                return found
        if isinstance(node, ast.Call):
            found = self.is_close(node, local)
            if found:
                return found
        if self.sendable(node, local):
            return self.truth(node, local, True)
        return self.oracle(node, local)

    def truth(self, node, local, expected):
        # the same for both: whether there is a `not` would say what is expected
        source = ast.UnaryOp(op=ast.Not(), operand=ast.UnaryOp(op=ast.Not(), operand=self.sendable(node, local)))
        return {"calls": [self.source(source)], "relation": "eq", "expected": encode(expected)}

    def comparison(self, left, relation, right, local):
        if self.mentions(right, local):
            if self.mentions(left, local):
                raise Unsupported("compares the program with itself")
            if relation not in FLIPPED:
                return None
            left, relation, right = right, FLIPPED[relation], left
        call = self.sendable(left, local)
        if not call:
            return self.is_near(left, relation, right, local)
        expected = self.hidden_value(right, local)
        is_number = type(expected) in (bool, int, float)
        if relation in ("lt", "le", "gt", "ge") and not is_number:
            return None
        if relation in ("in", "not in") and type(expected) not in (list, tuple, set, frozenset):
            return None
        if relation in ("is", "is not") and type(expected) not in (bool, type(None)):
            raise Unsupported("asks for the identity of a %s" % type(expected).__name__)
        return {"calls": [self.source(call)], "relation": relation, "expected": self.expected(expected)}

    def is_near(self, left, relation, right, local):
        """abs(call - expected) < tolerance"""
        is_abs = isinstance(left, ast.Call) and len(left.args) == 1 and ast.unparse(left.func) in ("abs", "math.fabs")
        if not is_abs or relation not in ("lt", "le") or not isinstance(left.args[0], ast.BinOp) or not isinstance(left.args[0].op, ast.Sub):
            return None
        sides = [left.args[0].left, left.args[0].right]
        mentioned = [self.mentions(side, local) for side in sides]
        if mentioned == [True, True]:
            raise Unsupported("compares the program with itself")
        call, other = sides if mentioned[0] else reversed(sides)
        call = self.sendable(call, local)
        if not call:
            return None
        return {
            "calls": [self.source(call)], "relation": "near", "expected": self.number(self.hidden_value(other, local)),
            "absolute": self.number(self.value(right, local)), "isStrict": relation == "lt",
        }

    def is_close(self, node, local):
        """math.isclose(call, expected, rel_tol=..., abs_tol=...)"""
        if ast.unparse(node.func) not in ("math.isclose", "isclose") or len(node.args) != 2:
            return None
        mentioned = [self.mentions(side, local) for side in node.args]
        if mentioned == [True, True]:
            raise Unsupported("compares the program with itself")
        if mentioned == [False, False]:
            return None
        call, other = node.args if mentioned[0] else reversed(node.args)
        call = self.sendable(call, local)
        options = {keyword.arg: self.value(keyword.value, local) for keyword in node.keywords}
        if not call or set(options) - {"rel_tol", "abs_tol"}:
            return None
        return {
            "calls": [self.source(call)], "relation": "close", "expected": self.number(self.hidden_value(other, local)),
            "relative": self.number(options.get("rel_tol", 1e-9)), "absolute": self.number(options.get("abs_tol", 0.0)),
        }

    def oracle(self, node, local):
        """Anything else: asked of the values that came back, in a run of its own without the program (judge_values.py)."""
        calls, reader, hidden = [], self, bound(node)

        class Taking(ast.NodeTransformer):
            def visit(self, part):
                if isinstance(part, ast.expr) and reader.mentions(part, local):
                    call = reader.sendable(part, local)
                    if call:
                        if loaded(call) & hidden:
                            raise Unsupported("calls the program within a comprehension or a lambda")
                        calls.append(reader.source(call))
                        return ast.Name(id="__value_%d__" % (len(calls) - 1), ctx=ast.Load())
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):  # the method is asked of the value
                    part.func.value = self.visit(part.func.value)
                    part.args, part.keywords = [self.visit(one) for one in part.args], [self.visit(one) for one in part.keywords]
                    return part
                return ast.NodeTransformer.generic_visit(self, part)

        taken = Taking().visit(ast.parse(ast.unparse(node), mode="eval").body)
        if self.runs_text or runs_text(taken):
            raise Unsupported("evaluates what the program returns")
        if self.mentions(taken, local) or not calls:
            raise Unsupported("the program is called in a way that cannot be taken apart")
        self.require_hidden(taken, lambda name: not callable(self.scope.get(name)))
        for part in ast.walk(taken):
            if isinstance(part, ast.Call) and not any(name.startswith("__value_") for name in loaded(part)):
                self.require_hidden(part)
        own = {name: value for name, value in local.items() if name in loaded(taken) - bound(taken)}
        modules = {name: value.__name__ for name, value in own.items() if type(value) is type(ast)}

        class Naming(ast.NodeTransformer):
            def visit_Name(self, part):
                return literal(own[part.id]) if part.id in own and part.id not in modules else part

        return {"calls": calls, "relation": "oracle", "expected": "null", "oracle": self.source(Naming().visit(taken)), "modules": modules}

    # Parts of an assert

    def lookup(self, name, local):
        return local[name] if name in local else self.scope.get(name)

    def is_program(self, name, local):
        return type(self.lookup(name, local)) in (Function, Result)

    def mentions(self, node, local):
        return any(self.is_program(name, local) for name in loaded(node))

    def sendable(self, node, local):
        """A call of the program, with what may stand around it, ready to be evaluated beside the program; None where it is something else."""
        if isinstance(node, ast.Name):
            value = self.lookup(node.id, local)
            return value.node if type(value) is Result else None
        if isinstance(node, ast.Subscript) and not self.mentions(node.slice, local):
            base = self.sendable(node.value, local)
            return base and ast.Subscript(value=base, slice=self.closed(node.slice, local), ctx=ast.Load())
        if isinstance(node, ast.Attribute):
            base = self.sendable(node.value, local)
            return base and ast.Attribute(value=base, attr=node.attr, ctx=ast.Load())
        if not isinstance(node, ast.Call):
            return None
        arguments = [part.value if isinstance(part, ast.Starred) else part for part in node.args] + [part.value for part in node.keywords]
        if isinstance(node.func, ast.Name) and self.is_function(node.func.id, local):
            return self.closed(node, local)
        if isinstance(node.func, ast.Attribute):
            base = self.sendable(node.func.value, local)
            if not base or (arguments and not self.is_object(node.func, local)):
                return None
            closed = self.closed(ast.Call(func=ast.Constant(value=None), args=node.args, keywords=node.keywords), local)
            return ast.Call(func=ast.Attribute(value=base, attr=node.func.attr, ctx=ast.Load()), args=closed.args, keywords=closed.keywords)
        if isinstance(node.func, ast.Name) and node.func.id in WRAPPERS and len(node.args) > 0 and node.func.id not in self.setup_names:
            inner = self.sendable(node.args[0], local)
            if not inner or any(self.mentions(part, local) for part in arguments[1:]):
                return None
            if len(arguments) > 1 and (node.func.id not in ("round", "sorted") or any(self.is_own(part, local) for part in arguments[1:])):
                return None  # key=lambda x: abs(x - expected)
            closed = self.closed(ast.Call(func=node.func, args=node.args[1:], keywords=node.keywords), local)
            return ast.Call(func=closed.func, args=[inner] + closed.args, keywords=closed.keywords)
        return None

    def is_object(self, method, local):
        """Solution().solve: arguments of such a method are the call's, those of a value's method would say what is expected: f(1).startswith("a")."""
        made = method.value
        is_made = isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and self.is_function(made.func.id, local) and made.func.id[0].isupper()
        return is_made and not any(hasattr(kind, method.attr) for kind in BUILTIN_KINDS)

    def is_own(self, node, local):
        """Needs names that only the tests have, helpers of theirs or of the prefix included."""
        names = loaded(node) - self.modules
        return any(name in local or name in self.scope and name not in self.setup_names for name in names)

    def is_function(self, name, local):
        return type(self.lookup(name, local)) is Function

    def closed(self, node, local):
        """The same expression without names that only the tests have: their values take the names' place."""
        reader = self
        hidden = bound(node)  # of comprehensions and lambdas

        class Closing(ast.NodeTransformer):
            def visit(self, part):
                if isinstance(part, ast.expr) and not loaded(part):
                    return part
                # as a whole: `case[0]` by its name alone would carry case[1] along, the expected value
                is_free = isinstance(part, ast.expr) and not loaded(part) & (hidden - bound(part))
                if is_free and reader.is_own(part, local) and not reader.mentions(part, local):
                    try:
                        return literal(reader.value(part, local))
                    except Exception:
                        pass  # no literal: perhaps its parts are
                    if isinstance(part, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
                        raise Unsupported("makes objects of its own within a comprehension")
                if is_free and isinstance(part, (ast.ListComp, ast.GeneratorExp)) and any(reader.is_own(one.iter, local) for one in part.generators):
                    return ast.List(elts=[reader.closed(part.elt, {**local, **row}) for row in reader.rows(part, local)], ctx=ast.Load())
                return super().visit(part)

            def visit_Name(self, part):
                name = part.id
                value = reader.lookup(name, local)
                if name in hidden or not isinstance(part.ctx, ast.Load):
                    return part
                if type(value) is Result:
                    return value.node
                if type(value) is Function:
                    return ast.Name(id=value.name, ctx=ast.Load())
                if name in reader.modules:
                    reader.imports.add(name)
                    return part
                return literal(value) if reader.is_own(part, local) else part

        return Closing().visit(ast.parse(ast.unparse(node), mode="eval").body)

    def rows(self, comprehension, local):
        """What a comprehension binds, each time."""
        names = [ast.Constant(value=name) for one in comprehension.generators for name in bound(one.target)]
        bindings = ast.Dict(keys=names, values=[ast.Name(id=name.value, ctx=ast.Load()) for name in names])
        return self.value(ast.ListComp(elt=bindings, generators=comprehension.generators), local)

    def value(self, node, local):
        code = compile(ast.fix_missing_locations(ast.Expression(body=ast.parse(ast.unparse(node), mode="eval").body)), "<expected>", "eval")
        return eval(code, {**self.scope, **local})

    def hidden_value(self, node, local):
        self.require_hidden(node)
        return self.value(node, local)

    def require_hidden(self, node, decides=lambda name: True):
        """The setup runs beside the program: what is its own (not imported) and decides is no secret."""
        for name in loaded(node) & self.setup_own:
            if decides(name):
                raise Unsupported("compares with %s of the setup, which the program can read" % name)

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
