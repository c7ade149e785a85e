/* One idempotency key and several requests: one event, also when the first transaction is rolled
 * back. Requests 1 and 2 are the same; 3 is another one with the same key.
 * Code:
 *   src/store/ingest_queue.cpp         take, settle, follower_result, judge
 *   src/store/ingest_sql.cpp           insert_calls, read_inserted
 *   src/store/ingest_commit.cpp        commit, write, fate_of, settle
 *   src/store/idempotency_buckets.cpp  ensure_buckets, drop_expired_buckets
 *   migrations/0001_tables.sql         idempotency_keys
 * Properties:
 *   P1  no second event within the time to live of the key
 *   P2  an id that is answered is that of a committed event
 *   P3  and that event is of the same request
 *   P4  422 is answered only where a committed event holds the key
 *   P5  once nothing more goes wrong every request has its answer
 * Bounds: REQUESTS, each sent once more after its answer; two API processes whose batches hold two
 * of them; FAULTS transactions rolled back or unheard of; time to live TTL and buckets of WIDTH, in
 * ticks, of which there are END. */
#ifndef REQUESTS
#define REQUESTS 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef END
#define END 0
#endif
#define TTL 2
#define WIDTH 2
#define print(r) ((r) == 3)             /* the fingerprint */
#define is_event(id) (events & (1 << (id)))

mtype = { gathering, begun, locked, looked, committed, failed };

byte now, faults = FAULTS;
byte ordering;                          /* the ordering lock */
byte key, bucket;                       /* idempotency_keys: the event that holds it, made when */
byte events, born;                      /* a bit for each; when the last one's transaction began */
mtype at[3] = gathering;                /* an API process: its batch, one row for both requests */
byte leader[3], follower[3], began[3];
byte old[3];                            /* what its look-up found */
bool waits[4], told[4], again[4];       /* a request: has no answer yet, has one, was sent again */

#ifdef NO_FINGERPRINT
#define same(r, id) true
#else
#define same(r, id) (print(r) == print(id))
#endif
#ifdef ONE_BUCKET /* the look-up covers the bucket of now instead of all that live */
#define found (bucket == now / WIDTH -> key : 0)
#else
#define found key
#endif
#ifdef DROP_EARLY /* by its beginning */
#define expired (bucket * WIDTH + TTL <= now)
#else
#define expired ((bucket + 1) * WIDTH + TTL <= now)
#endif

inline unlock(w) { if :: ordering == w -> ordering = 0 :: else fi }
inline answer(r, id) { /* judge */
  if :: same(r, id) ->
       assert(is_event(id));            /* P2 */
       assert(print(r) == print(id))    /* P3 */
     :: else -> assert(is_event(id))    /* P4 */
  fi;
  waits[r] = false; told[r] = true
}
inline remember(w) { key = leader[w]; bucket = began[w] / WIDTH }
inline follow(w) { /* follower_result, when the leader failed: 503, and the producer asks again */
  skip;
#ifdef KEY_IN_MEMORY /* the leader's key counts, whatever became of it */
  if :: print(follower[w]) != print(leader[w]) -> answer(follower[w], leader[w]) :: else fi;
#endif
#ifdef BLIND_FOLLOWER /* so does its id */
  if :: print(follower[w]) == print(leader[w]) -> answer(follower[w], leader[w]) :: else fi;
#endif
#ifndef FORGOTTEN_FOLLOWER
  waits[follower[w]] = false
#endif
}
inline settle(w) {
  if
  :: at[w] == committed ->
       id = (old[w] -> old[w] : leader[w]);
       answer(leader[w], id); if :: follower[w] -> answer(follower[w], id) :: else fi
  :: at[w] == failed ->
#ifdef UNKNOWN_ACCEPTED
       answer(leader[w], leader[w]);
#endif
       waits[leader[w]] = false; if :: follower[w] -> follow(w) :: else fi
  fi;
  id = 0; leader[w] = 0; follower[w] = 0; began[w] = 0; old[w] = 0; at[w] = gathering
}

proctype api(byte w) {
  byte id;
  do
  :: atomic { at[w] == gathering && leader[w] -> began[w] = now;
#ifdef LOOK_FIRST /* a snapshot older than the lock */
       old[w] = found;
#endif
       at[w] = begun }
#ifdef NO_LOCK
  :: atomic { at[w] == begun -> at[w] = locked }
#else
  :: atomic { at[w] == begun && ordering == 0 -> ordering = w; at[w] = locked }
#endif
  :: atomic { at[w] == locked ->
#ifndef LOOK_FIRST
       old[w] = found;
#endif
       at[w] = looked }
#ifdef KEY_FIRST /* in a transaction of its own */
  :: atomic { at[w] == looked && !old[w] -> remember(w) }
#endif
  :: atomic { at[w] == looked -> /* commit */
       if :: !old[w] ->
            assert(!events || now - born > TTL); /* P1 */
            events = events | (1 << leader[w]); born = began[w]; remember(w)
          :: else fi;
       unlock(w);
       if :: at[w] = committed
          :: faults > 0 -> faults--; at[w] = failed /* nobody hears of it */ fi }
  :: atomic { (at[w] == begun || at[w] == locked || at[w] == looked) && faults > 0 ->
       faults--; unlock(w); at[w] = failed }
  :: atomic { at[w] == committed || at[w] == failed -> settle(w) }
  od
}

proctype producer(byte r) {
  byte w;
  do
  :: atomic { !waits[r] && !told[r] -> if :: w = 1 :: w = 2 fi;
       if :: at[w] == gathering && !leader[w] -> leader[w] = r; waits[r] = true
          :: at[w] == gathering && leader[w] && !follower[w] -> follower[w] = r; waits[r] = true
          :: else fi; w = 0 }
  :: atomic { told[r] && !again[r] -> told[r] = false; again[r] = true }
  od
}

active proctype clock() {
  do
  :: atomic { now < END -> now++ }
  :: atomic { key && expired -> key = 0; bucket = 0 }
  od
}

active proctype judge() {
  timeout -> assert(told[1] && told[2] && (told[3] || REQUESTS < 3)) /* P5 */
}

init {
  atomic {
    run api(1); run api(2); run producer(1); run producer(2);
    if :: REQUESTS == 3 -> run producer(3) :: else fi
  }
}
