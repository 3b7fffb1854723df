"""The rules of the sans-I/O core, and for each a way to break it that the core's tests must notice.

To apply one by hand: replace ``snippet`` in ``walredo/<module>.py`` and run the two test files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """``rule``: what no longer holds. ``snippet`` occurs once in the module."""

    module: str
    rule: str
    snippet: str
    replacement: str


def _of(module: str, *mutants: tuple[str, str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(module, *each) for each in mutants)


_SENDING = _of(
    "pipeline",
    (
        "requests leave in the order of their submission",
        "        self._unsent.append(message)\n        if len",
        "        self._unsent.insert(0, message)\n        if len",
    ),
    (
        "requests are answered in the order of their submission",
        "        self._pending.append(ticket)\n",
        "        self._pending.appendleft(ticket)\n",
    ),
    (
        "a late redo learns how many came before",
        "self._failed_at = first + len(pending)",
        "self._failed_at = first",
    ),
    (
        "numbers go on after answers",
        "        pending, first = self._pending, self.pages_answered\n",
        "        pending, first = self._pending, 0\n",
    ),
    (
        "what a partial write took of a request is not sent again",
        "chunks[0] = memoryview(chunks[0])[self._head_sent :]",
        "pass",
    ),
    (
        "the bytes of a request that have left count in the next write",
        "            count += self._head_sent\n",
        "",
    ),
    (
        "a partial write is remembered",
        "        self._head_sent = count\n",
        "",
    ),
    (
        "a request has left with its last byte, not before",
        "while count >= len(unsent[whole]):",
        "while count >= len(unsent[whole]) - 1:",
    ),
    (
        "a request has left with its last byte, not after",
        "while count >= len(unsent[whole]):",
        "while count > len(unsent[whole]):",
    ),
    (
        "a request has left by its own length",
        "while count >= len(unsent[whole]):",
        "while count >= len(unsent[-1]):",
    ),
    (
        "one write ends every request that it took whole",
        "while count >= len(unsent[whole]):",
        "if count >= len(unsent[whole]):",
    ),
    (
        "the rest of a request is what has not left",
        "            self._head_sent = count\n",
        "            self._head_sent = 0\n",
    ),
    (
        "a write that takes everything leaves no rest",
        "            whole = offered\n            self._head_sent = 0\n",
        "            whole = offered\n",
    ),
    (
        "a write that takes everything ends all it was offered",
        "            whole = offered\n",
        "            whole = offered - 1\n",
    ),
    (
        "one write is offered a pipe's worth at most",
        "                    del chunks[count:]\n                    break\n",
        "                    break\n",
    ),
    (
        "a pipe's worth is offered",
        "                if size >= self._send_limit:\n",
        "                if True:\n",
    ),
    (
        "what has left of the first request makes room for more",
        "            size = -self._head_sent\n            for",
        "            size = 0\n            for",
    ),
    (
        "a write is known by the bytes that it was offered",
        "        self._offered_bytes = size\n",
        "        self._offered_bytes = size + 1\n",
    ),
    (
        "what has left of a request is not in the write",
        "size = sum(map(len, chunks)) - self._head_sent",
        "size = sum(map(len, chunks))",
    ),
    (
        "one write is offered a pipe's worth if there is so much",
        "if size >= self._send_limit:",
        "if size:",
    ),
    (
        "a write is offered no more once the pipe's worth is there to the byte",
        "if size >= self._send_limit:",
        "if size > self._send_limit:",
    ),
    (
        "what has left of the first request is not a part of the pipe's worth",
        "size = -self._head_sent",
        "size = 0",
    ),
    (
        "one write is offered as many chunks as writev takes",
        "self._unsent[:MAX_CHUNKS]",
        "self._unsent[:]",
    ),
    (
        "MAX_CHUNKS is IOV_MAX",
        "MAX_CHUNKS = 1024",
        "MAX_CHUNKS = 1025",
    ),
    (
        "a message that has left is released",
        "        del unsent[:whole]\n",
        "        self._kept = list(unsent)\n        del unsent[:whole]\n",
    ),
    (
        "every write call is counted",
        "self.counters.write_calls += self._calls_per_send",
        "self.counters.write_calls += bool(count)",
    ),
    (
        "bytes sent are counted as they leave",
        "self.counters.bytes_sent += count",
        "self.counters.bytes_sent += count + self._head_sent",
    ),
    (
        "the peak counts what is in flight, this request included",
        "self.counters.in_flight_peak = len(self._pending)",
        "self.counters.in_flight_peak = len(self._pending) - 1",
    ),
    (
        "the peak stays when requests are answered",
        "if len(self._pending) > self.counters.in_flight_peak:",
        "if True:",
    ),
)

_ANSWERS = _of(
    "pipeline",
    (
        "an offered request may be answered before its write call has returned",
        "self._answerable += self._offered",
        "pass",
    ),
    (
        "what a write was offered and did not take may not be answered",
        "        self._answerable -= offered - whole\n",
        "",
    ),
    (
        "a request that has left may be answered",
        "        self._answerable -= offered - whole\n",
        "        self._answerable -= offered\n",
    ),
    ("a request is answered once", "        self._answerable -= number\n", ""),
    (
        "pages of requests that have not left are unexpected",
        "(rest or number > self._answerable)",
        "rest",
    ),
    (
        "one byte more than the pages asked for is unexpected",
        "(rest or number > self._answerable)",
        "number > self._answerable",
    ),
    (
        "the last page asked for may come in parts",
        "number >= self._answerable and (rest",
        "number + 1 >= self._answerable and (rest",
    ),
    (
        "a page must begin as its request says",
        "        heads_right = all(map(bytes.startswith, pages, map(_head_of, pending)))\n",
        "        heads_right = True\n",
    ),
    (
        "a page begun must begin as its request says",
        "        if begun and heads_right:\n",
        "        if False:\n",
    ),
    (
        "a page begun belongs to the request after the whole ones",
        "== pending[number].head",
        "== pending[0].head",
    ),
    (
        "a page begun makes good no page before it",
        "if begun and heads_right:",
        "if begun:",
    ),
    (
        "the whole head of a page is looked at",
        "map(_head_of, pending)",
        "(each.head[:4] for each in pending)",
    ),
    (
        "a page begun is looked at as soon as its head is there",
        "if rest >= PAGE_HEAD_BYTES else",
        "if rest > PAGE_HEAD_BYTES else",
    ),
    (
        "a wrong page is blamed on its redo",
        "return self.pages_answered + sum(1 for _ in right)",
        "return sum(1 for _ in right)",
    ),
    ("the first wrong page is named, not the last", "sum(1 for _ in right)", "len(self._pending)"),
    (
        "the head of every page of a read is looked at",
        "zip(pages, self._pending",
        "zip(pages[:1], self._pending",
    ),
    (
        "a head is looked at once it is whole, not before",
        "if rest >= PAGE_HEAD_BYTES else",
        "if rest >= PAGE_HEAD_BYTES - 1 else",
    ),
    (
        "pages follow each other",
        "= page_struct(number).unpack_from(buffer)",
        "= tuple(page[:-8] for page in page_struct(number).unpack_from(buffer))",
    ),
    (
        "surplus bytes deliver nothing of their read",
        "        if number >= self._answerable and (rest or number > self._answerable):\n",
        "        if number >= self._answerable and (rest or number > self._answerable):\n"
        "            for early in range(self._answerable):\n"
        "                self._pending[early].page = bytes(self._buffer[:PAGE_SIZE])\n",
    ),
    (
        "a wrong head delivers nothing of its read",
        "        if not heads_right:\n",
        '        if not heads_right:\n            pending[0].page = b"".join(pages)\n',
    ),
    (
        "the oldest request gets the page",
        "            ticket = pending.popleft()\n",
        "            ticket = pending.pop()\n",
    ),
    (
        "each page of a read has bytes of its own",
        "            ticket.page = page\n",
        "            ticket.page = pages[0]\n",
    ),
    (
        "a page is a copy",
        "pages: tuple[bytes, ...] = page_struct(number).unpack_from(buffer)",
        "pages = [PageView(buffer[n * PAGE_SIZE : (n + 1) * PAGE_SIZE]) for n in range(number)]",
    ),
    (
        "the part of a page that came with others moves to the front",
        "            buffer[:rest] = buffer[begun_at:filled]\n",
        "            pass\n",
    ),
    (
        "the part of a page that came is kept",
        "        self._filled = rest\n",
        "        self._filled = 0\n",
    ),
    (
        "the room of delivered pages is free again",
        "        self._filled = rest\n",
        "        self._filled = filled\n",
    ),
    (
        "a read goes behind what is there",
        "return self._space",
        "return self._buffer",
    ),
    (
        "there is room for a page besides the part of one",
        "0 if whole_pages else receive_bytes + PAGE_SIZE",
        "0 if whole_pages else receive_bytes",
    ),
    (
        "whole pages are not written by a system call each",
        "self._calls_per_send = 0 if whole_pages else 1",
        "self._calls_per_send = 1",
    ),
    (
        "no buffer is held for whole pages",
        "bytearray(0 if whole_pages else",
        "bytearray(receive_bytes if whole_pages else",
    ),
    (
        "whole pages that nobody asked for deliver nothing",
        "        if len(pages) > self._answerable:\n",
        "        if False:\n",
    ),
    (
        "whole pages are counted in bytes",
        "self.counters.bytes_received += len(pages) * PAGE_SIZE",
        "self.counters.bytes_received += len(pages)",
    ),
    (
        "whole pages after a failure are dropped",
        "            return []\n        if len(pages)",
        "            pass\n        if len(pages)",
    ),
    (
        "the error of too much output says what was asked for",
        "asked_for = self._answerable * PAGE_SIZE",
        "asked_for = self._answerable",
    ),
    (
        "the surplus of whole pages is told in bytes",
        "self._too_much(len(pages) * PAGE_SIZE)",
        "self._too_much(len(pages))",
    ),
    (
        "every read call is counted",
        "        counters.read_calls += 1\n",
        "        counters.read_calls += bool(count // PAGE_SIZE)\n",
    ),
    (
        "bytes received are counted, be they whole pages or not",
        "counters.bytes_received += count",
        "counters.bytes_received += count // PAGE_SIZE * PAGE_SIZE",
    ),
    (
        "a ping is not counted as a redo",
        "if ticket.records == PING_RECORDS:",
        "if False:",
    ),
    (
        "PING_RECORDS is no number of records",
        "PING_RECORDS = -1",
        "PING_RECORDS = 1",
    ),
    (
        "all pings are counted",
        "        counters.pings += pings\n",
        "        counters.pings = pings\n",
    ),
    (
        "a ping is no redo",
        "counters.redos += len(completed) - pings",
        "counters.redos += len(completed)",
    ),
    (
        "pings of one read are counted each",
        "                pings += 1\n",
        "                pings = 1\n",
    ),
    (
        "a redo without records is not a ping",
        "if ticket.records == PING_RECORDS:",
        "if ticket.records <= 0:",
    ),
    (
        "the records of redos are counted",
        "                records += ticket.records\n",
        "                records += 1\n",
    ),
    (
        "records are summed over reads",
        "        counters.records += records\n",
        "        counters.records = records\n",
    ),
    (
        "pages that nobody takes are answers too",
        "self.pages_answered += number",
        "self.pages_answered += len(completed)",
    ),
)

_ABANDONING = _of(
    "pipeline",
    (
        "a redo abandoned before its first byte is not sent",
        "            del self._unsent[unsent_at]\n",
        "",
    ),
    (
        "a redo abandoned before its first byte waits for no page",
        "            del self._pending[at]\n",
        "",
    ),
    (
        "a redo abandoned after its first byte is sent whole",
        "(unsent_at == 0 and self._head_sent)",
        "False",
    ),
    ("a redo abandoned after its last byte is answered", "if unsent_at < 0 or", "if"),
    (
        "only the first redo unsent can be on its way",
        "(unsent_at == 0 and self._head_sent)",
        "self._head_sent",
    ),
    (
        "the first redo unsent is on its way only once a byte of it has left",
        "(unsent_at == 0 and self._head_sent)",
        "unsent_at == 0",
    ),
    (
        "the page of an abandoned redo is dropped",
        "            if ticket.abandoned:\n                if ticket.records",
        "            if False:\n                if ticket.records",
    ),
    ("a fence is no redo that was given up", "if ticket.records != FENCE_RECORDS:", "if True:"),
    (
        "answers that begin alike have a fence between them",
        "            self._fence(deadline_ns)\n",
        "            pass\n",
    ),
    ("answers that differ need no fence", "if head == self._last_head and head", "if head"),
    (
        "pings need no fence",
        "if head == self._last_head and head != PING_HEAD:",
        "if head == self._last_head:",
    ),
    (
        "the next request is compared with the last",
        "        self._last_head = head\n        ticket",
        "        self._last_head = self._last_head or head\n        ticket",
    ),
    ("nobody owns a fence", "        fence.abandoned = True\n", ""),
    (
        "fences are counted",
        "        self._unsent.append(PING)\n        self.counters.fences += 1\n",
        "        self._unsent.append(PING)\n",
    ),
    (
        "fences of leavers are counted",
        "            self._unsent[unsent_at] = PING\n            self.counters.fences += 1\n",
        "            self._unsent[unsent_at] = PING\n",
    ),
    (
        "after the last has left, the one before counts",
        "            self._last_head = before\n",
        "            pass\n",
    ),
    (
        "before the first in flight is the one answered last",
        "if at else self._answered_head",
        'if at else b""',
    ),
    (
        "the one answered last is known",
        "            self._answered_head = ticket.head\n",
        "            pass\n",
    ),
    (
        "who kept two alike apart leaves a fence",
        "        elif before == self._pending[at + 1].head != PING_HEAD:\n",
        "        elif False:\n",
    ),
    (
        "a fence does not follow a fence",
        "            count = 2  # a fence after",
        "            count = 1  # a fence after",
    ),
    (
        "a fence after a redo stays",
        "before == PING_HEAD and self._pending[at + 1].records",
        "self._pending[at + 1].records",
    ),
    (
        "who kept two apart that differ leaves nothing",
        "        elif before == self._pending[at + 1].head != PING_HEAD:\n",
        "        elif True:\n",
    ),
    (
        "the fence of a leaver begins with zeros",
        "ticket.head, ticket.records = PING_HEAD, FENCE_RECORDS",
        "ticket.records = FENCE_RECORDS",
    ),
    (
        "the fence of a leaver is no redo that was given up",
        "ticket.head, ticket.records = PING_HEAD, FENCE_RECORDS",
        "ticket.head = PING_HEAD",
    ),
    ("the fence of a leaver is a ping", "            self._unsent[unsent_at] = PING\n", ""),
    (
        "what is unsent is not on its way",
        "return len(self._unsent) == len(self._pending)",
        "return not self._pending",
    ),
    (
        "dropped pages are counted",
        "                counters.pages_dropped += 1\n",
        "                pass\n",
    ),
    (
        "an abandoned redo is marked",
        "        ticket.abandoned = True\n",
        "",
    ),
    (
        "what has its page cannot be abandoned",
        "if ticket.page is not None or ticket.error is not None or ticket.abandoned:",
        "if ticket.error is not None or ticket.abandoned:",
    ),
    (
        "what has its error cannot be abandoned",
        "if ticket.page is not None or ticket.error is not None or ticket.abandoned:",
        "if ticket.page is not None or ticket.abandoned:",
    ),
    (
        "a redo is abandoned once",
        "if ticket.page is not None or ticket.error is not None or ticket.abandoned:",
        "if ticket.page is not None or ticket.error is not None:",
    ),
)

_FAILURE = _of(
    "pipeline",
    (
        "a pipeline fails once",
        "            return []\n        self.failure = failure\n",
        "            pass\n        self.failure = failure\n",
    ),
    (
        "after a failure no request is taken",
        "            raise self._poison_for(self._failed_at)\n",
        "            pass\n",
    ),
    (
        "after a failure nothing is sent",
        "        self._pending, self._unsent = deque(), []\n",
        "        self._pending = deque()\n",
    ),
    (
        "after a failure nothing is in flight",
        "        self._pending, self._unsent = deque(), []\n",
        "        self._unsent = []\n",
    ),
    (
        "after a failure nothing is delivered, and no output is unexpected",
        "        if self.failure is not None:\n            return []\n        filled =",
        "        filled =",
    ),
    (
        "a write that ends after the failure leaves nothing to go on with",
        "        if self.failure is not None:\n            return\n",
        "",
    ),
    (
        "the bytes of a request that have left are forgotten with it",
        "        self._head_sent = 0\n        if not pending:\n",
        "        if not pending:\n",
    ),
    (
        "a failure with nobody in flight is no error",
        "        if not pending:\n            return []\n",
        "",
    ),
    ("the oldest is told last", "        numbered.rotate(-1)\n", ""),
    (
        "the others are told in their order",
        "        numbered.rotate(-1)\n",
        "        numbered.reverse()\n",
    ),
    (
        "the suspect is the oldest, not the next that waits",
        "        oldest = pending[0]\n",
        "        oldest = next((t for t in pending if not t.abandoned), pending[0])\n",
    ),
    (
        "there is a suspect",
        "        oldest.suspect = had_bytes or self.pages_answered == 0\n",
        "",
    ),
    (
        "a redo of which the child had nothing is no suspect if the child has answered",
        "had_bytes or self.pages_answered == 0",
        "True",
    ),
    (
        "a redo of which the child had nothing is suspect if the child never answered",
        "oldest.suspect = had_bytes or self.pages_answered == 0",
        "oldest.suspect = had_bytes",
    ),
    (
        "a redo is suspect that left whole, or that a write under way offers",
        "self._answerable > 0 or head_waits",
        "head_waits",
    ),
    (
        "a redo is suspect of which a byte has left",
        "self._answerable > 0 or head_waits",
        "self._answerable > 0",
    ),
    (
        "bytes of a redo that was answered make no other one suspect",
        " and len(self._unsent) <= len(pending)",
        "",
    ),
    (
        "who abandoned a redo is not told",
        "            if ticket.abandoned:\n                continue\n",
        "",
    ),
    (
        "the oldest gets the child's failure itself",
        "if ticket is oldest and isinstance(failure, ChildError):",
        "if False:",
    ),
    (
        "the others learn that the streams are poisoned",
        "if ticket is oldest and isinstance(failure, ChildError):",
        "if isinstance(failure, ChildError):",
    ),
    (
        "a failure that is not the child's poisons the oldest too",
        "if ticket is oldest and isinstance(failure, ChildError):",
        "if ticket is oldest:",
    ),
    (
        "the poison names the request that it met",
        "self._poison_for(number)",
        "self._poison_for(first)",
    ),
    (
        "a poisoned request after a shutdown gets an error of its own",
        "            return ShutDownError()\n",
        "            return self.failure\n",
    ),
    (
        "after a shutdown the streams are not merely poisoned",
        "        if isinstance(self.failure, ShutDownError):\n",
        "        if False:\n",
    ),
    (
        "a deadline has passed at its very moment",
        "t.deadline_ns <= now_ns",
        "t.deadline_ns < now_ns",
    ),
    (
        "every request in flight may expire, not only the oldest",
        "[t for t in self._pending if t.deadline_ns <= now_ns]",
        "[t for t in islice(self._pending, 1) if t.deadline_ns <= now_ns]",
    ),
    (
        "the earliest deadline is not always the oldest request's",
        "min((t.deadline_ns for t in self._pending), default=None)",
        "next((t.deadline_ns for t in self._pending), None)",
    ),
    (
        "what is in flight includes what is abandoned on its way",
        "return len(self._pending)\n",
        "return sum(not t.abandoned for t in self._pending)\n",
    ),
    (
        "has_unsent tells of unsent bytes",
        "return bool(self._unsent)",
        "return bool(self._pending)",
    ),
)

_LAUNCHING = _of(
    "lifecycle",
    (
        "concurrent first redos launch one child",
        "if self.launching or self.retiring:",
        "if self.retiring:",
    ),
    (
        "a launch waits until failed children are reaped",
        "if self.launching or self.retiring:",
        "if self.launching:",
    ),
    (
        "a plan to launch is remembered",
        "            self.launching = True\n",
        "",
    ),
    (
        "a launch ends when it succeeds",
        "        self.launching = False\n        self.counters.launches += 1\n",
        "        self.counters.launches += 1\n",
    ),
    (
        "a launch ends when it fails",
        "        self.launching = False\n        self._count_failure(now_ns)\n",
        "        self._count_failure(now_ns)\n",
    ),
    (
        "the child that is there is used",
        "            return Plan(session=self.current)\n",
        "            pass\n",
    ),
    (
        "a redo that is late gets no child launched",
        "        if now_ns >= deadline_ns:\n",
        "        if False:\n",
    ),
    (
        "a redo is late at the very moment of its deadline",
        "        if now_ns >= deadline_ns:\n",
        "        if now_ns > deadline_ns:\n",
    ),
    (
        "a launched child is the current one",
        "        self.current = session\n",
        "",
    ),
    (
        "launches are counted",
        "        self.counters.launches += 1\n",
        "",
    ),
    (
        "the time of the last launch is kept",
        "        self.counters.launch_ns_last = session.child.launch_ns\n",
        "",
    ),
    (
        "a launch is logged",
        '        logger.info("launched redo child %d", session.child.pid)\n',
        "",
    ),
    (
        "launch times are summed",
        "self.counters.launch_ns_total += session",
        "self.counters.launch_ns_total = session",
    ),
)

_BACK_OFF = _of(
    "lifecycle",
    (
        "a failed launch delays the next one",
        "        self.launching = False\n        self._count_failure(now_ns)\n",
        "        self.launching = False\n",
    ),
    (
        "a child that answered nothing delays the next launch",
        "        elif failure.cause not in _NOT_A_CHILD_FAULT:\n"
        "            self._count_failure(now_ns)\n",
        "",
    ),
    (
        "what is nobody's fault delays no launch",
        "elif failure.cause not in _NOT_A_CHILD_FAULT:",
        "else:",
    ),
    (
        "a quiesced child is nobody's fault",
        "(Cause.QUIESCE, Cause.SHUT_DOWN, Cause.INTERRUPTED)",
        "(Cause.SHUT_DOWN, Cause.INTERRUPTED)",
    ),
    (
        "a caller's interruption is nobody's fault",
        "(Cause.QUIESCE, Cause.SHUT_DOWN, Cause.INTERRUPTED)",
        "(Cause.QUIESCE, Cause.SHUT_DOWN)",
    ),
    (
        "a child that answered resets the back-off",
        "            self._failures_in_row = 0\n        elif",
        "            pass\n        elif",
    ),
    (
        "failures in a row are counted",
        "self._failures_in_row += 1",
        "self._failures_in_row = 1",
    ),
    (
        "the first failures delay nothing",
        "        if excess >= 0:\n",
        "        if True:\n",
    ),
    (
        "the back-off begins with the failure that the config names",
        "        if excess >= 0:\n",
        "        if excess > 0:\n",
    ),
    (
        "the wait doubles",
        "2.0 ** min(excess, 64)",
        "1.0",
    ),
    (
        "the wait has a cap",
        "delay_s = min(\n"
        "                self.config.backoff_first_s * 2.0 ** min(excess, 64),"
        " self.config.backoff_most_s\n"
        "            )",
        "delay_s = self.config.backoff_first_s * 2.0 ** min(excess, 64)",
    ),
    (
        "the wait is finite whatever the number of failures",
        "min(excess, 64)",
        "excess",
    ),
    (
        "the wait counts from the failure",
        "self._no_launch_before_ns = now_ns + round(",
        "self._no_launch_before_ns = 0 + round(",
    ),
    (
        "a launch that is held back waits",
        "        if delay_ns <= 0:\n",
        "        if True:\n",
    ),
    (
        "the wait is over at its very end",
        "        if delay_ns <= 0:\n",
        "        if delay_ns < 0:\n",
    ),
    (
        "a launch held back past the deadline is an error at once",
        "        if now_ns + delay_ns >= deadline_ns:\n",
        "        if False:\n",
    ),
    (
        "a launch held back to the very deadline is an error",
        "        if now_ns + delay_ns >= deadline_ns:\n",
        "        if now_ns + delay_ns > deadline_ns:\n",
    ),
    (
        "a launch is held back from now on",
        "        if now_ns + delay_ns >= deadline_ns:\n",
        "        if delay_ns >= deadline_ns:\n",
    ),
    (
        "a launch is held back to the last nanosecond",
        "        if delay_ns <= 0:\n",
        "        if delay_ns <= 1:\n",
    ),
    (
        "nanoseconds are integers",
        "now_ns + round(delay_s * 1e9)",
        "now_ns + delay_s * 1e9",
    ),
    (
        "a launch held back waits no longer than that",
        "return Plan(wait_ns=delay_ns)",
        "return Plan()",
    ),
)

_CHILDREN = _of(
    "lifecycle",
    (
        "the child in use is told by its number",
        "        return None if session is None else session.child.pid\n",
        "        return None\n",
    ),
    (
        "a child that redos wait for is not idle",
        "        if self._awaiting_child:\n",
        "        if False:\n",
    ),
    ("who waits for a child is counted", "self._awaiting_child += 1", "self._awaiting_child += 0"),
    ("who has a child waits for none", "self._awaiting_child -= 1", "self._awaiting_child -= 0"),
    (
        "a failed child is taken out of rotation",
        "        if self.current is session:\n            self.current = None\n",
        "",
    ),
    (
        "an old child's failure does not hit its replacement",
        "        if self.current is session:\n",
        "        if True:\n",
    ),
    (
        "a failed child is waited for until it is reaped",
        "        self.retiring.add(session)\n",
        "",
    ),
    (
        "a child that is reaped is waited for no more",
        "            self.retiring.remove(session)\n",
        "",
    ),
    (
        "to say again that a child is reaped changes nothing",
        "        if session in self.retiring:\n            self.retiring.remove(session)\n",
        "        if True:\n            self.retiring.discard(session)\n",
    ),
    (
        "ended children are counted by cause",
        "        self.counters.kills[failure.cause] += 1\n",
        "",
    ),
    (
        "the end of a child that is nobody's fault is no warning",
        "level = logging.INFO if failure.cause in _NOT_A_CHILD_FAULT else logging.WARNING",
        "level = logging.WARNING",
    ),
    (
        "quiesce leaves alone a child that was used lately",
        "return session if now_ns - session.idle_since_ns >= idle_ns else None",
        "return session",
    ),
    (
        "a child is idle for so long at that very moment",
        "now_ns - session.idle_since_ns >= idle_ns",
        "now_ns - session.idle_since_ns > idle_ns",
    ),
    (
        "quiesce leaves alone a child with a redo in flight",
        "if session is None or self.shut_down or session.pipeline.in_flight:",
        "if session is None or self.shut_down:",
    ),
    (
        "quiesce without a child does nothing",
        "if session is None or self.shut_down or session.pipeline.in_flight:",
        "assert session\n        if self.shut_down or session.pipeline.in_flight:",
    ),
    (
        "after shutdown nothing is quiesced",
        "if session is None or self.shut_down or session.pipeline.in_flight:",
        "if session is None or session.pipeline.in_flight:",
    ),
    (
        "after shutdown no redo is taken",
        "        if self.shut_down:\n            raise ShutDownError\n",
        "",
    ),
    (
        "a shutdown lasts",
        "first, self.shut_down = not self.shut_down, True",
        "first = not self.shut_down",
    ),
    (
        "only the first shutdown is the first",
        "        return first\n",
        "        return True\n",
    ),
    (
        "a child that comes after the shutdown is to be ended",
        "        return not self.shut_down\n",
        "        return True\n",
    ),
    (
        "a manager with a child is not childless",
        "return self.current is None and not self.launching and not self.retiring",
        "return not self.launching and not self.retiring",
    ),
    (
        "a manager that launches is not childless",
        "return self.current is None and not self.launching and not self.retiring",
        "return self.current is None and not self.retiring",
    ),
    (
        "a manager whose child is not reaped is not childless",
        "return self.current is None and not self.launching and not self.retiring",
        "return self.current is None and not self.launching",
    ),
)

_RETRIES = _of(
    "lifecycle",
    (
        "attempts are counted",
        "        state.attempts += 1\n",
        "",
    ),
    (
        "a suspect is charged",
        "if suspect or hopeless or isinstance(error, LaunchError):",
        "if hopeless or isinstance(error, LaunchError):",
    ),
    (
        "who merely shared the child is not charged",
        "suspect = ticket is not None and ticket.suspect and error",
        "suspect = ticket is not None and error",
    ),
    (
        "who had no ticket yet is not charged",
        "suspect = ticket is not None and ticket.suspect and error",
        "suspect = (ticket is None or ticket.suspect) and error",
    ),
    (
        "nobody is charged for what is nobody's fault",
        " and error.cause not in _NOT_A_CHILD_FAULT\n",
        "\n",
    ),
    (
        "everybody is charged when no child ever answers",
        "if suspect or hopeless or isinstance(error, LaunchError):",
        "if suspect or isinstance(error, LaunchError):",
    ),
    (
        "not everybody is charged before HOPELESS_AFTER children answered nothing",
        "self._failures_in_row >= HOPELESS_AFTER",
        "self._failures_in_row >= HOPELESS_AFTER - 1",
    ),
    (
        "everybody is charged once HOPELESS_AFTER children answered nothing",
        "self._failures_in_row >= HOPELESS_AFTER",
        "self._failures_in_row > HOPELESS_AFTER",
    ),
    (
        "a failed launch is charged",
        "if suspect or hopeless or isinstance(error, LaunchError):",
        "if suspect or hopeless:",
    ),
    (
        "charges are summed",
        "state.charged += 1",
        "state.charged = 1",
    ),
    (
        "a redo is tried again as often as its attempt is worth",
        "state.charged > state.attempt.retries",
        "state.charged >= state.attempt.retries",
    ),
    (
        "a redo is tried again no more often than its attempt is worth",
        "state.charged > state.attempt.retries",
        "state.charged > state.attempt.retries + 1",
    ),
    (
        "what its child's end costs a redo is its charges, not its attempts",
        "state.charged > state.attempt.retries",
        "state.attempts > state.attempt.retries",
    ),
    (
        "a timeout is never tried again",
        "if isinstance(error, RedoTimeoutError) or state.charged",
        "if state.charged",
    ),
    (
        "past the deadline a failure is a timeout",
        "if now_ns >= state.deadline_ns and not",
        "if False and not",
    ),
    (
        "a failure at the very deadline is a timeout",
        "if now_ns >= state.deadline_ns and not",
        "if now_ns > state.deadline_ns and not",
    ),
    (
        "before the deadline a failure is what it is",
        "if now_ns >= state.deadline_ns and not",
        "if not",
    ),
    (
        "past the deadline a shutdown is still a shutdown",
        "not isinstance(error, ShutDownError | RedoTimeoutError)",
        "not isinstance(error, RedoTimeoutError)",
    ),
    (
        "past the deadline a timeout is the one that it was",
        "not isinstance(error, ShutDownError | RedoTimeoutError)",
        "not isinstance(error, ShutDownError)",
    ),
    (
        "a timeout names the failure that it was found by",
        "            late.__cause__ = error\n",
        "",
    ),
    (
        "failed attempts are counted by cause",
        "        self.counters.errors[error.cause] += 1\n",
        "",
    ),
    (
        "a shutdown is never tried again",
        "        if isinstance(error, ShutDownError):\n            raise error\n",
        "",
    ),
    (
        "an attempt that is tried again is logged",
        '"redo (%s) failed at attempt %d, trying again: %s", name, state.attempts, error',
        '"redo (%s) is tried again", name',
    ),
)

_STATUS = _of(
    "lifecycle",
    (
        "the timeout is that of the config, in whole nanoseconds",
        "round(config.timeout_s * 1e9)",
        "round(config.timeout_s) * 10**9",
    ),
    (
        "status sums over children that have ended",
        "        streams.add(self._ended)\n",
        "",
    ),
    (
        "an ended child's counts are kept",
        "            self._ended.add(session.pipeline.counters)\n",
        "            pass\n",
    ),
    (
        "status counts the current child too",
        "            streams.add(session.pipeline.counters)\n",
        "            pass\n",
    ),
    (
        "a status changes no sums",
        "        streams = StreamCounters()\n        streams.add(self._ended)\n",
        "        streams = self._ended\n",
    ),
    (
        "status counts what is in flight",
        "in_flight=0 if session is None else session.pipeline.in_flight",
        "in_flight=0",
    ),
    (
        "status gives the pipe to the child before the pipe from it",
        "(session.child.stdin_bytes, session.child.stdout_bytes)",
        "(session.child.stdout_bytes, session.child.stdin_bytes)",
    ),
    (
        "the ended children in a status are those of its moment",
        "kills=dict(counters.kills)",
        "kills=counters.kills",
    ),
    (
        "the errors in a status are those of its moment",
        "errors=dict(counters.errors)",
        "errors=counters.errors",
    ),
)

MUTANTS = (
    *_SENDING,
    *_ANSWERS,
    *_ABANDONING,
    *_FAILURE,
    *_LAUNCHING,
    *_BACK_OFF,
    *_CHILDREN,
    *_RETRIES,
    *_STATUS,
)
