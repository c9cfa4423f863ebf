"""Python source reduced to what it computes: what a code hash is made of.

Comments, docstrings, annotations, messages and a scheme's texts go, and with them whatever they alone have read: local
names, imports and conditions. What is left changes whenever a number may.
"""

import ast
import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

NEUTRAL = "says what counts as a change and computes nothing"

MESSAGES = {"print", "warnings.warn", "sys.stdout.write", "sys.stderr.write"}
LOGGERS = {"logging", "logger"}
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
# what a message may do besides being said
BINDINGS = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
# what an expression may do besides having a value: a comprehension and a star use up a generator
EFFECTS = (*BINDINGS, ast.Call, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Starred)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
READERS_OF_LOCALS = {"locals", "vars", "dir", "eval", "exec"}


def reduce_source(text: str, shown: Collection[str] = ()) -> ast.Module:
    """Parse Python source and keep what it computes.

    An exception keeps its class and loses its arguments: code that catches it may tell classes apart, but must not
    compute with a message. The annotations of a class body stay, since they make the fields of a dataclass.

    Args:
        text: the source.
        shown: constants and functions of the module that are for people alone; they go.
    """
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not defined_by(node) or not defined_by(node) <= set(shown)]
    used = read_names(tree)
    Reducer().visit(tree)
    while drop_unread_locals(tree):
        Reducer().visit(tree)
    drop_unread_imports(tree, used - read_names(tree))
    return tree


def read_names(tree: ast.AST) -> set[str]:
    """The names that are read anywhere in a tree, or belong to an outer scope."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
    return names


def holds(tree: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
    """Whether a tree has a node of one of some kinds."""
    return any(isinstance(node, kinds) for node in ast.walk(tree))


def is_message(call: ast.Call) -> bool:
    """Whether a call says something and does nothing else."""
    name = ast.unparse(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else ""
    logger, _, level = name.rpartition(".")
    return (name in MESSAGES or (logger in LOGGERS and level in LEVELS)) and not holds(call, BINDINGS)


def defined_by(node: ast.stmt) -> set[str]:
    """The names, as source, that a statement gives to a value or a function; none of any other statement."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {ast.unparse(target) for target in node.targets} if isinstance(node, ast.Assign) else set()


def drop_unread_locals(tree: ast.Module) -> bool:
    """Drop assignments of names that their function never reads, unless what they assign may do something.

    Returns:
        Whether there were any.
    """
    dropped = False
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        read = read_names(function)
        if not read & READERS_OF_LOCALS:
            dropped |= drop_statements(function, functools.partial(is_unread, read=read))
    return dropped


def is_unread(node: ast.stmt, read: set[str]) -> bool:
    """Whether a statement does nothing but assign to names that are not among those ``read``.

    Adding to a name may change what it names, an array of the caller's for instance; adding a text cannot.
    """
    targets: Sequence[ast.expr]
    if isinstance(node, ast.AugAssign):
        targets, plain = [node.target], isinstance(node.value, ast.JoinedStr) or is_text(node.value)
    elif isinstance(node, ast.Assign):
        targets, plain = node.targets, True
    else:
        return False
    names = all(isinstance(each, ast.Name) and each.id not in read for each in targets)
    return names and plain and not holds(node.value, EFFECTS)


def is_text(node: ast.expr) -> bool:
    """Whether an expression is a literal text."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def drop_unread_imports(tree: ast.Module, unread: set[str]) -> None:
    """Drop the imports of names that only dropped code has read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [each for each in node.names if (each.asname or each.name.split(".")[0]) not in unread]
    for scope in [node for node in ast.walk(tree) if isinstance(node, (ast.Module, *SCOPES))]:
        drop_statements(scope, lambda node: isinstance(node, ast.Import | ast.ImportFrom) and not node.names)


def drop_statements(scope: ast.AST, is_dropped: Callable[[ast.stmt], bool]) -> bool:
    """Drop statements of a module, class or function, but not of those inside; returns whether there were any."""
    blocks, dropped = [scope], False
    while blocks:
        block = blocks.pop()
        blocks += [node for node in ast.iter_child_nodes(block) if not isinstance(node, (*SCOPES, ast.expr))]
        for _, body in ast.iter_fields(block):
            if isinstance(body, list) and any(map(is_dropped, body)):
                body[:] = [node for node in body if not is_dropped(node)]
                dropped = True
    return dropped


class Reducer(ast.NodeTransformer):
    """Takes out of a tree what computes nothing."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit the parts of a node; a block that they leave empty holds ``pass``."""
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if body == [] and not isinstance(node, ast.Module):
            body.append(ast.Pass())
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        """Drop what type checkers alone read, and a condition that is left with nothing to decide."""
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return self.visit_all(node.orelse)
        self.generic_visit(node)
        idle = isinstance(node.body[0], ast.Pass) and not node.orelse and not holds(node.test, EFFECTS)
        return None if idle else node

    def visit_all(self, block: Iterable[ast.stmt]) -> list[ast.stmt]:
        """What is left of a block."""
        kept: list[ast.stmt] = []
        for node in block:
            found: ast.stmt | list[ast.stmt] | None = self.visit(node)
            kept += found if isinstance(found, list) else [] if found is None else [found]
        return kept

    def visit_Pass(self, node: ast.Pass) -> None:
        """Drop it; an empty block gets it back."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, other bare constants and messages."""
        said = isinstance(node.value, ast.Constant) or (isinstance(node.value, ast.Call) and is_message(node.value))
        return None if said else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop what a message says where its call is part of an expression, and what a progress says."""
        if is_message(node):
            return ast.Call(node.func, [], [])
        if ast.unparse(node.func) == "Progress":
            return ast.Call(node.func, [], [])
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Drop the arguments of an exception."""
        if isinstance(node.exc, ast.Call) and not holds(node.exc, BINDINGS):
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Drop the message of an assertion."""
        node.msg = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the annotation of an argument."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the annotation of what a function returns."""
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Keep the annotations of a class body."""
        body = [[each] if isinstance(each, ast.AnnAssign) else self.visit_all([each]) for each in node.body]
        node.body = list(chain.from_iterable(body)) or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Make an annotated assignment a plain one; a bare annotation goes."""
        return None if node.value is None else self.generic_visit(ast.Assign([node.target], node.value, lineno=0))

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Give a ``finally`` that only said something its ``pass`` back, without which there may be no block."""
        self.generic_visit(node)
        if not node.handlers and not node.finalbody:
            node.finalbody = [ast.Pass()]
        return node
