"""Twin functions, one for threads and one for tasks, are equal once `await` is taken out.

They stay apart because a shared one would put a call or an await into every sample; a change in one
that is forgotten in the other would make sync and async incomparable.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import pytest

from bench.places import ROOT

SAME = {
    "os.sched_yield()": "give_way()",
    "time.sleep(early_ns / 1000000000.0)": "pacer.until(due_ns)",  # both: until it is due
    "time.sleep(path.download_s)": "asyncio.sleep(path.download_s)",
    # When a task fails the others are cancelled; threads have to look.
    "while not start.errors:": "while True:",
}
ONLY_FOR_THREADS = "with one_at_a_time"
"""A lock that tasks need not: they are not switched in between."""

CLIENTS, SUBJECTS = "bench/worker/clients", "bench/worker/subjects"
SYNC, ASYNC = "walredo/sync_manager.py", "walredo/async_manager.py"
# Not twins: `clients/at_once.py`, whose threads meet at a barrier and collect their errors, where a
# TaskGroup does both; `executor.py`, which has no tasks; and of the managers and sessions what
# takes a lock, waits or launches, which is what the two are different for.
TWINS = [
    (f"{CLIENTS}/closed_loop.py", "run_threads.redo_till_deadline", "run_tasks.redo_till_deadline"),
    (f"{CLIENTS}/open_loop.py", "run_open_threads.redo_arrivals", "run_open_tasks.redo_arrivals"),
    (f"{CLIENTS}/reads.py", "read_in_threads.read", "read_in_tasks.read"),
    (
        f"{CLIENTS}/reads.py",
        "read_in_threads.read_till_deadline",
        "read_in_tasks.read_till_deadline",
    ),
    (f"{SUBJECTS}/hosts.py", "fail_in_thread", "fail_in_task"),
]
METHODS = ["request_redo", "ping", "__enter__", "__exit__"]


class WithoutAwait(ast.NodeTransformer):
    """What a sync function would be: one context manager per `with`, and no `await`."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        value: ast.AST = self.visit(node.value)
        return value

    def visit_With(self, node: ast.With | ast.AsyncWith) -> ast.AST | Sequence[ast.AST]:
        self.generic_visit(node)
        if ast.unparse(node).startswith(ONLY_FOR_THREADS):
            return node.body
        body = node.body
        for item in reversed(node.items):
            body = [ast.copy_location(ast.With(items=[item], body=body), node)]
        return body

    visit_AsyncWith = visit_With  # noqa: N815


def lines(path: str, name: str) -> list[str]:
    """The body of a function as its twin would have it, without docstring and comments."""
    node: ast.AST = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for part in name.split("."):
        (node,) = (
            child for child in ast.iter_child_nodes(node) if getattr(child, "name", 0) == part
        )
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    body = node.body[1:] if ast.get_docstring(node) else node.body
    text = ast.unparse(WithoutAwait().visit(ast.Module(body, type_ignores=[])))
    for of_threads, of_tasks in SAME.items():
        text = text.replace(of_threads, of_tasks)
    return text.splitlines()


@pytest.mark.parametrize(("path", "of_threads", "of_tasks"), TWINS)
def test_loops_of_threads_and_tasks(path: str, of_threads: str, of_tasks: str) -> None:
    assert lines(path, of_threads) == lines(path, of_tasks)


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_the_managers(method: str) -> None:
    of_async = method.replace("__e", "__ae")
    threads = lines(SYNC, f"SyncRedoManager.{method}")
    assert threads == lines(ASYNC, f"AsyncRedoManager.{of_async}")
