"""What happened to each message: I3, I4, I8, I9."""
from checker.history import BURIED, FINAL, SECOND

RETRYABLE = range(500, 600)
EARLY = 20_000_000  # ns by which a process may be wrong about PostgreSQL's clock, by which it waits
SLACK = SECOND      # how late a retry may be on a machine that keeps nobody waiting


def named(ref):
    return f"event {ref[0]}, subscriber {ref[1]}"


def i3(history):
    """At least once: an answer of 2xx, or a dead letter. Repetitions have a cause."""
    for ref in history.messages:
        final = history.final(ref)
        sent = history.sent.get(ref, ())
        if final and final["outcome"] == "delivered" and not any(
                one.answered() for one in sent):
            yield f"{named(ref)}: delivered, and nobody ever answered 2xx"
        if history.once(ref):
            continue
        good = [one for one in sent if one.ok(history.timeout)]
        if final and not good and ref not in history.dead and not any(
                one.answered() for one in sent):
            yield f"{named(ref)}: lost (ended as {final['outcome']}, no 2xx, no dead letter)"
        yield from _repeated(history, ref, sent)
        if good and ref in history.dead and not _cut(history, good[0], sent):
            yield f"{named(ref)}: answered 2xx and dead all the same"


def _repeated(history, ref, sent):
    """Each request after an answer of 2xx needs something that cut the record of that answer."""
    for before, after in zip(sent, sent[1:]):
        if before.ok(history.timeout) and not _explained(history, before, after):
            yield (f"{named(ref)}: answered 2xx (delivery {before.mark}) and sent again "
                   f"(delivery {after.mark}), far from any fault")


def _explained(history, before, after):
    return history.late(before) or history.broken_between(before.start, after.start)


def _cut(history, good, sent):
    later = [one for one in sent if one.start > good.start]
    end = later[-1].start if later else good.start + 10 * SECOND
    return history.late(good) or history.broken_between(good.start, end)


def duplicates(history):
    """(answers of 2xx beyond the first, messages that had them)"""
    extra = [sum(one.ok(history.timeout) for one in sent) - 1
             for ref, sent in history.sent.items() if not history.once(ref)]
    return sum(n for n in extra if n > 0)


def i4(history):
    """At most once: never two requests; none only where something came between."""
    for ref in history.messages:
        if not history.once(ref):
            continue
        sent, final = history.sent.get(ref, ()), history.final(ref)
        if len(sent) > 1:
            yield f"{named(ref)}: at most once, and sent {len(sent)} times"
        if not sent and final:
            reason = history.dead[ref][0]["reason"] if ref in history.dead else None
            if reason not in ("unknown_outcome", "not_sent"):
                yield f"{named(ref)}: never sent, ended as {final['outcome']} ({reason})"
            elif not history.disturbed_between(history.accepted(ref[0]), 1 << 63):
                yield f"{named(ref)}: never sent ({reason}), and nothing came between"
        marked = [row for row in history.rows.get(ref, ()) if row["outcome"] == "started"]
        if marked and final is None:
            yield f"{named(ref)}: marked as begun and never ended"
        if sent and not marked:
            yield f"{named(ref)}: sent without a mark"


def i8(history):
    """Dead letters are exactly the messages that died, once each, for the reason they give."""
    for ref in history.messages:
        final = history.final(ref)
        letters = history.dead.get(ref, ())
        if len(letters) > 1:
            yield f"{named(ref)}: {len(letters)} dead letters"
        if bool(letters) != (final is not None and final["outcome"] in BURIED):
            yield (f"{named(ref)}: {'a' if letters else 'no'} dead letter, and ended as "
                   f"{final['outcome'] if final else 'nothing'}")
        yield from _rows(history, ref)
        if letters and final:
            yield from _letter(history, ref, letters[0], final)
    for ref in history.dead.keys() - history.messages.keys():
        yield f"{named(ref)}: a dead letter of no message"


def _rows(history, ref):
    """Attempts are numbered from 1, each ends once, only the last is final."""
    rows = history.rows.get(ref, ())
    ended = sorted(row["attempt"] for row in rows if row["outcome"] != "started")
    begun = {row["attempt"] for row in rows}
    if len(ended) != len(set(ended)):
        yield f"{named(ref)}: an attempt ended twice: {ended}"
    if begun and begun != set(range(1, max(begun) + 1)):
        yield f"{named(ref)}: attempts are {sorted(begun)}"
    finals = [row for row in rows if row["outcome"] in FINAL]
    if len(finals) > 1:
        yield f"{named(ref)}: ended {len(finals)} times"
    if finals and finals[0]["attempt"] != max(begun):
        yield f"{named(ref)}: attempts after its end"
    answers = {(one.attempt, one.status) for one in history.sent.get(ref, ())}
    junk = {one.attempt for one in history.sent.get(ref, ()) if one.answer == "garbage"}
    for row in rows:
        if row["status"] is not None and row["attempt"] not in junk and (
                row["attempt"], row["status"]) not in answers:
            yield f"{named(ref)}: attempt {row['attempt']} was never answered {row['status']}"


def _retryable(status):
    return status is None or status == 429 or status in RETRYABLE or not 200 <= status < 600


def _letter(history, ref, letter, final):
    limit = history.subscribers[ref[1]]["retry_limit"]
    reason, status = letter["reason"], final["status"]
    exhausted = final["attempt"] == limit + 1 and _retryable(status)
    wanted = {
        "retries_exhausted": not history.once(ref) and exhausted,
        "worker_crashed": True,
        "redirect": status is not None and 300 <= status < 400,
        "rejected": status is not None and 400 <= status < 500 and status != 429,
        "at_most_once": history.once(ref) and status is not None and _retryable(status),
        "not_sent": history.once(ref) and status is None and not history.sent.get(ref),
        "unknown_outcome": history.once(ref) and status is None,
    }
    if not wanted.get(reason, False):
        yield (f"{named(ref)}: dead as {reason} after attempt {final['attempt']} of {limit + 1} "
               f"with status {status}")
    if (letter["outcome"], letter["last_status"], letter["attempts"]) != (
            final["outcome"], status, final["attempt"]):
        yield f"{named(ref)}: the dead letter does not say what its last attempt was"


def i9(history):
    """Not more attempts than allowed; each waits as long as it must, and not much longer."""
    for ref, sent in history.sent.items():
        one = history.subscribers[ref[1]]
        limit = 1 if history.once(ref) else 1 + one["retry_limit"]
        highest = max(attempt.attempt for attempt in sent)
        if highest > limit:
            yield f"{named(ref)}: attempt {highest} of {limit}"
        for number in range(1, highest):
            yield from _wait(history, ref, one, number, sent)
    for ref, rows in history.rows.items():
        for row in rows:
            if row["outcome"] == "retry" and row["status"] is not None and not _retryable(
                    row["status"]):
                yield f"{named(ref)}: tried again after {row['status']}"


def _wait(history, ref, one, number, sent):
    """Between the end of attempt `number` and the start of the next."""
    before = [attempt for attempt in sent if attempt.attempt == number]
    after = [attempt for attempt in sent if attempt.attempt == number + 1]
    if not before or not after:
        return
    first, last = after[0].start, max(before, key=lambda attempt: attempt.start)
    backoff = one["backoff"][min(number, len(one["backoff"])) - 1]
    asked = 1.0 if last.status == 429 and not last.given_up else 0.0  # heard in time
    wait = int(max(backoff, asked) * SECOND)
    if last.start > first:  # a repetition that a fault explains; I5 looks at its order
        return
    # Who timed out did not wait for the end that a late receiver wrote down.
    unheard = any(row["attempt"] == number and row["outcome"] == "retry" and row["status"] is None
                  for row in history.rows.get(ref, ()))
    begun = last.given_up or (last.start if last.end is None or unheard else last.end)
    if first - begun < wait - EARLY:
        yield (f"{named(ref)}: attempt {number + 1} came {(first - begun) / SECOND:.3f} s after "
               f"the end of the one before, not {wait / SECOND:.3f} s")
    end = last.until(history.timeout)
    slack = SLACK + 4 * history.stalled_between(end, first)
    if first - end > wait + slack and not one["hangs"] and not history.disturbed_between(
            last.start, first):
        yield (f"{named(ref)}: attempt {number + 1} came {(first - end - wait) / SECOND:.2f} s "
               f"late, and nothing was disturbed")
