/* At most once: mark, send, crash. One unordered message, two dispatchers that may own its shard.
 * Code:
 *   src/core/lanes_start.cpp        start, next, ended, not_sent
 *   src/core/lanes_commit.cpp       attempt_committed, finish_if_spent, load_record
 *   src/core/lanes_park.cpp         park
 *   src/core/lanes_own.cpp          reset
 *   src/core/retry.cpp              failed_once
 *   src/dispatcher/deliver.cpp      deliver, send
 *   src/dispatcher/own.cpp          forget_session
 *   src/store/lane_batch.cpp        parks, attempts, consequences
 *   src/store/feed.cpp              rebuild_text
 *   migrations/0001_tables.sql      delivery_attempts, parked
 * Properties:
 *   P1  at most one request is ever sent
 *   P2  at most one final attempt is recorded
 *   P3  it is not forgotten: once nothing more goes wrong, it gets its final attempt
 *   P4  it is not given up unsent: `unknown` is recorded only where an attempt was marked
 * Bounds: one message, because unordered ones do not wait for each other; FAULTS faults.
 * Left out: heartbeats and waits, since unordered messages go at once after a take-over; retry by a
 * person. */
#ifndef FAULTS
#define FAULTS 4
#endif

mtype = { none, waiting, starting, cleared, reading, sent, ended };

byte faults = FAULTS, requests, finals;
byte lock;                            /* the session that holds the shard's lock */
bool mark, final, low;                /* delivery_attempts; the low water is past the message */
bool parked, parked_mark;             /* its row of `parked` */

mtype state[3] = none;                /* of the record in memory */
bool session[3], owner[3], unread[3]; /* at the server; believes it owns; has not rebuilt yet */
bool in_parked[3];                    /* as the record knows: a row exists or is queued */
bool op_park[3], op_park_mark[3], op_mark[3], op_mark_parked[3], op_final[3], op_unknown[3];

#define queued(w) (op_park[w] || op_mark[w] || op_final[w] || op_unknown[w])

inline request() { requests++; assert(requests == 1) /* P1 */ }
inline end() { finals++; assert(finals == 1); /* P2 */ final = true; parked = false }
inline lost(w) { session[w] = false; if :: lock == w -> lock = 0 :: else fi }
inline forget(w) {
  lost(w); owner[w] = false; unread[w] = false; state[w] = none; in_parked[w] = false;
  op_park[w] = false; op_park_mark[w] = false; op_mark[w] = false; op_mark_parked[w] = false;
  op_final[w] = false; op_unknown[w] = false
}
inline arrive(w, started) { /* finish_if_spent */
#ifdef PUT_BACK
  state[w] = waiting
#else
  if :: started -> state[w] = ended; op_unknown[w] = true :: else -> state[w] = waiting fi
#endif
}
inline commit(w) { /* LaneBatch: parks, attempts, consequences; one transaction */
  if :: op_park[w] && !parked -> parked = true; parked_mark = op_park_mark[w] :: else fi;
  if :: op_mark[w] -> mark = true :: else fi;
  if :: op_mark_parked[w] -> parked_mark = true :: else fi;
  if :: op_unknown[w] -> assert(mark) /* P4 */ :: else fi;
  if :: op_final[w] || op_unknown[w] -> end() :: else fi
}
inline told(w) { /* Lanes::committed */
  op_park[w] = false; op_park_mark[w] = false;
  if :: op_mark[w] -> op_mark[w] = false; op_mark_parked[w] = false; state[w] = cleared :: else fi;
  if :: op_final[w] || op_unknown[w] -> op_final[w] = false; op_unknown[w] = false; state[w] = none
     :: else fi
}

proctype dispatcher(byte w) {
  do
  :: atomic { !session[w] && !owner[w] -> session[w] = true }
  :: atomic { session[w] && !owner[w] && lock == 0 -> lock = w; owner[w] = true; unread[w] = true }
  :: atomic { session[w] && unread[w] -> unread[w] = false; /* what is parked comes from there */
       if :: parked -> in_parked[w] = true; arrive(w, parked_mark)
          :: !final && !parked && !low -> arrive(w, mark)
          :: else fi }
  :: atomic { state[w] == waiting ->
#ifdef MARK_AFTER
       state[w] = reading
#else
       state[w] = starting; op_mark[w] = true; op_mark_parked[w] = in_parked[w]
#endif
     }
  :: atomic { state[w] != none && state[w] != ended && !in_parked[w] ->
       in_parked[w] = true; op_park[w] = true;
#ifndef PARK_FORGETS
       op_park_mark[w] = (state[w] != waiting)
#endif
     }
#ifdef LOW_FIRST /* past what is not parked yet */
  :: atomic { owner[w] && session[w] && !low -> low = true }
#else
  :: atomic { owner[w] && session[w] && parked && !low -> low = true }
#endif
  :: atomic { owner[w] && session[w] && queued(w) -> commit(w);
       if :: told(w) :: faults > 0 -> faults--; forget(w) /* nobody hears of it */ fi }
  :: atomic { state[w] == cleared -> state[w] = reading }
  :: atomic { state[w] == reading -> state[w] = sent; request() }
  :: atomic { state[w] == reading && faults > 0 -> /* no payload or connection: not_sent */
       faults--; state[w] = cleared }
  :: atomic { state[w] == sent -> state[w] = ended; op_final[w] = true } /* answered; failed_once */
  :: atomic { owner[w] && !session[w] -> forget(w) }
  :: atomic { owner[w] && faults > 0 -> faults--; forget(w) } /* killed, or forget_session */
#ifdef MARK_ELSEWHERE /* not on the session that holds the lock */
  :: atomic { op_mark[w] -> mark = true; op_mark[w] = false; state[w] = cleared }
#endif
#ifdef PARK_ELSEWHERE
  :: atomic { op_park[w] && !final ->
       op_park[w] = false; parked = true; parked_mark = op_park_mark[w] }
#endif
#ifdef RESULT_ELSEWHERE
  :: atomic { op_final[w] -> op_final[w] = false; state[w] = none; end() }
#endif
#ifdef SEND_UNCONFIRMED
  :: atomic { state[w] == starting -> state[w] = reading }
#endif
#ifdef RETRY
  :: atomic { state[w] == sent -> state[w] = waiting }
#endif
#ifdef RESEND /* over another connection, when a kept one turns out to be closed */
  :: atomic { state[w] == sent && faults > 0 -> faults--; request() }
#endif
  od
}

active proctype nemesis() { /* the server ends a session, and the process does not know */
  do
  :: atomic { session[1] && faults > 0 -> faults--; lost(1) }
  :: atomic { session[2] && faults > 0 -> faults--; lost(2) }
  od
}

active proctype judge() { timeout -> assert(final) /* P3 */ }

init { atomic { run dispatcher(1); run dispatcher(2) } }
