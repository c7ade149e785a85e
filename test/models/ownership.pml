/* Who may send for a shard: session lock, heartbeat, take-over wait. One key, DISPATCHERS.
 * Code:
 *   src/store/ownership.cpp        acquire, heard, may_send, release, disconnect
 *   src/dispatcher/own.cpp         own_session, forget_session, leave
 *   src/dispatcher/balance.cpp     take, hand_over
 *   src/dispatcher/deliver.cpp     next_start, deliver
 *   src/dispatcher/write.cpp       write_batch, heard
 *   src/core/lanes_own.cpp         reset, acquire, drained, release
 *   src/core/lanes_start.cpp       reason, start, ended, not_sent, free_ghost
 *   src/core/lanes_commit.cpp      attempt_committed
 *   migrations/0001_tables.sql     shards
 * Properties, whenever a request is sent:
 *   P1  no other request of the key is in the air
 *   P2  every older message of the key was answered 2xx
 *   P3  no younger message of the key was sent before
 * Bounds: NEWEST messages; time-out T, send_lease X, wait W in ticks. Time, crashes, lost sessions,
 * hand-overs and failed attempts are not bounded: clocks count down, nothing else counts.
 * Assumed: a request is in the air T ticks at most, also when its sender is gone; a process that
 * stalls does so before its last look at the lease.
 * Shortened, where what is left out could only forbid more: a session begins with the take-over; a
 * heartbeat is heard when it is committed; a payload is read in no time. */
#ifndef DISPATCHERS
#define DISPATCHERS 2
#endif
#ifndef NEWEST
#define NEWEST 2
#endif
#ifndef T
#define T 1
#endif
#ifndef X
#define X 1
#endif
#ifndef W
#define W (T + X)
#endif
#define GONE 9
#define live(w) (lock == w)             /* its session is; it may believe so without */
#ifdef OWN_MARK                         /* no wait after whatever is marked as ours */
#define ours(w) (owner == w)
#else                                   /* ... and of which Lanes was told */
#define ours(w) (owner == w && known[w])
#endif
#ifdef NO_GHOSTS                        /* a request of an earlier ownership does not count */
#define busy(w) ((air_of == w && !stale) || result[w])
#else
#define busy(w) (air_of == w || result[w])
#endif
#ifdef HAND_OVER_EARLY                  /* while the giver itself waits */
#define drained(w) (!busy(w))
#else
#define drained(w) (!busy(w) && !hold[w])
#endif
#ifdef NO_LEASE
#define may_send(w) (phase[w] == owned)
#else
#define may_send(w) (phase[w] == owned && lease[w])
#endif
#define may_start(w) (may_send(w) && !hold[w] && !busy(w) && done[w] < NEWEST)

mtype = { nothing, taken, owned, marked };

byte lock, owner;                       /* whose session holds the lock; shards.owner */
bool clean = true;                      /* shards.clean */
byte final;                             /* up to here final attempts are committed */
byte air, air_of, air_left;             /* the message in the air, its sender, how long still */
bool stale;                             /* of an earlier ownership: its result is not recorded */
byte answered, youngest;                /* the receiver: up to here answered 2xx; newest it had */
mtype phase[4] = nothing;               /* what the process believes */
bool known[4], wait[4];                 /* Lanes was told of its take-over; and is to wait */
byte lease[4], hold[4];                 /* ticks left of send_lease and of the take-over wait */
byte done[4], result[4];                /* in memory: final up to here; a 2xx to be committed */
byte unheard[4];                        /* with LEASE_FROM_ANSWER: a heartbeat's answer under way */
bool picked[4];                         /* with LOOK_ONCE: its payload is being read */

inline forget(w) { /* Worker::forget_session. The request goes on, a result may yet be committed */
  if :: result[w] && live(w) -> final = result[w] :: true fi;
  phase[w] = nothing; wait[w] = false; lease[w] = 0; unheard[w] = 0; done[w] = 0; result[w] = 0;
#ifdef FORGET_WAIT
  hold[w] = 0;
#endif
  if :: air_of == w -> stale = true :: else fi
}
inline exit(w) { /* killed, or leave() with a request in the air; then it is another node */
  forget(w); known[w] = false; hold[w] = 0; picked[w] = false;
  if :: owner == w -> owner = 0 :: else fi;
  if :: air_of == w -> air_of = GONE :: else fi
}
inline send(w) {
  assert(air_of == 0);                  /* P1 */
  assert(answered >= done[w]);          /* P2 */
  assert(youngest <= done[w] + 1);      /* P3 */
  air = done[w] + 1; air_of = w; air_left = T; stale = false; youngest = air
}
inline answer() { if :: answered < air -> answered = air :: else fi }
inline over() { air = 0; air_of = 0; air_left = 0; stale = false }
inline down(clock) { if :: clock -> clock-- :: else fi }

proctype dispatcher(byte w) {
  do
  :: atomic { phase[w] == nothing && lock == 0 -> /* lock_shards, take_shards */
       lock = w; wait[w] = !clean && !ours(w); owner = w; known[w] = false; phase[w] = taken;
#ifndef TAKE_UNMARKED
       clean = false
#endif
     }
  :: atomic { phase[w] == taken && live(w) -> /* the answer, Lanes::acquire, the rebuild */
       if :: wait[w] || hold[w] -> hold[w] = W :: else fi;
       wait[w] = false; known[w] = true; done[w] = final; phase[w] = owned }
#ifdef LEASE_FROM_ANSWER
  :: atomic { phase[w] == owned && live(w) -> unheard[w] = 1 }
  :: atomic { phase[w] == owned && unheard[w] -> unheard[w] = 0; lease[w] = X }
#else
  :: atomic { phase[w] == owned && live(w) && lease[w] < X -> lease[w] = X } /* a heartbeat */
#endif
#ifdef LOOK_ONCE /* at the lease, before the payload is read and not again */
  :: atomic { may_start(w) && !picked[w] -> picked[w] = true }
  :: atomic { picked[w] -> picked[w] = false; send(w) }
#else
  :: atomic { may_start(w) -> send(w) }
#endif
  :: atomic { air_of == w -> answer(); if :: !stale -> result[w] = air :: else fi; /* 2xx */
#ifdef NEXT_UNCOMMITTED
       if :: !stale -> done[w] = air; result[w] = 0 :: else fi;
#endif
       over() }
  :: atomic { air_of == w -> /* failed: tried again */
#ifdef PASS_FAILED
       if :: !stale -> done[w] = air :: else fi;
#endif
       over() }
  :: atomic { result[w] && live(w) -> final = result[w]; done[w] = result[w]; result[w] = 0 }
  :: atomic { phase[w] != nothing -> forget(w) }
  :: atomic { phase[w] != nothing -> exit(w) }
#ifdef UNLOCK_FIRST /* and mark it clean then */
  :: atomic { phase[w] == owned && live(w) && drained(w) -> phase[w] = marked; lock = 0 }
  :: atomic { phase[w] == marked -> phase[w] = nothing; clean = true; owner = 0 }
#else
  :: atomic { phase[w] == owned && live(w) && drained(w) ->
       phase[w] = marked; clean = true; owner = 0 }
  :: atomic { phase[w] == marked && live(w) -> forget(w); lock = 0 }
#endif
#ifdef LEAVE_CLEAN /* SIGTERM: the lock is released as clean with a request in the air */
  :: atomic { phase[w] == owned && live(w) -> clean = true; owner = 0; exit(w); lock = 0 }
#endif
  od
}

active proctype world() {
  do
  :: atomic { lock -> lock = 0 } /* the server ends the session */
  :: atomic { air_of == GONE -> if :: answer() :: true fi; over() }
  :: atomic { air_of == 0 || air_left -> d_step { /* a tick */
       down(air_left); down(lease[1]); down(lease[2]); down(lease[3]);
       down(hold[1]); down(hold[2]); down(hold[3]) } }
  od
}

init {
  atomic {
    run dispatcher(1); run dispatcher(2);
    if :: DISPATCHERS == 3 -> run dispatcher(3) :: else fi
  }
}
