/* The order of events and the cursors over it: two API processes, two fan-outs, a feed.
 * Code:
 *   src/store/ingest_sql.cpp        insert_calls
 *   src/store/ingest_commit.cpp     write, settle
 *   src/store/sequencer.cpp         try_acquire, moved
 *   src/store/sequencer_read.cpp    read
 *   src/store/sequencer_append.cpp  append, try_insert
 *   src/fanout/chunks.cpp           next
 *   src/fanout/fanout.cpp           serve, fan_out
 *   src/store/feed.cpp              horizon_text, end_of_window, read_text
 *   migrations/0001_tables.sql      event_seq, events, messages, sequencer
 * Properties:
 *   P1  no event becomes visible at or below what the fan-out has passed
 *   P2  an event that was answered 202 is never rolled back
 *   P3  an event that the cursor has passed has all its messages
 *   P4  no message is made twice
 *   P5  what was sent after a 202 gets a higher number than what that 202 was for
 *   P6  no message becomes visible at or below what the dispatcher's feed has passed
 *   P7  the feed has read every message that it has passed
 * Bounds: NUMBERS event numbers, batches of 2, two subscribers that both match an event or not.
 * Rollbacks, crashes, lost sessions and lost answers are not bounded. */
#ifndef NUMBERS
#define NUMBERS 3
#endif
#define BIT(n) (1 << ((n) - 1))
#define UPTO(n) ((1 << (n)) - 1)
#define LOW(m) ((m) & -(m))
#define TOP(m) ((m) & 8 -> 4 : ((m) & 4 -> 3 : ((m) & 2 -> 2 : (m) & 1)))
#define MORE(w) (numbers < NUMBERS || cached[w])
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#ifdef EVENTS_HORIZON /* of events instead of messages */
#define HORIZON TOP(events)
#else
#define HORIZON MAX(saved, TOP(first | second))
#endif

byte ordering, numbers;               /* the ordering lock; event_seq */
byte events, matching, first, second; /* a bit for each number: visible, subscribed, its messages */
byte answered;                        /* 202 */
byte saved, passed;                   /* sequencer.cursor; how far the fan-out ever came */
byte open[3], rows[3], since[3], cached[3]; /* API: transaction, its numbers, 202s before it */
byte fan_lock, cursor[3], batch[3];   /* fan-out: whose session holds the lock; in memory */
bool owner[3], placed[3];             /* placed: has read where the last owner ended */
byte position;                        /* the feed: how far it has read */
bool whole = true;                    /* all of it */

inline unlock(w) { if :: ordering == w -> ordering = 0 :: else fi }
inline forget(w) { /* killed, or the session is lost; without it nothing can be written */
  if :: fan_lock == w -> fan_lock = 0 :: else fi;
  owner[w] = false; placed[w] = false; cursor[w] = 0; batch[w] = 0
}
inline place(w) {
#ifdef SAVED_ONLY
  cursor[w] = saved;
#else
  cursor[w] = MAX(saved, TOP(first | second));
#endif
  assert((events & matching & UPTO(cursor[w]) & ~(first & second)) == 0); /* P3 */
  placed[w] = true
}
inline append(w, chunk) { /* the messages of some events, and the cursor when it has to be saved */
  assert((chunk & matching & first) == 0);               /* P4 */
  assert((chunk & matching & UPTO(position)) == 0);      /* P6 */
  first = first | (chunk & matching); second = second | (chunk & matching);
  passed = MAX(passed, TOP(chunk));
  if :: saved = TOP(chunk) :: TOP(chunk) == TOP(chunk & matching) fi;
  if :: cursor[w] = TOP(chunk); batch[w] = batch[w] & ~chunk
     :: forget(w) /* nobody hears of it */ fi
}

proctype api(byte w) {
  do
#ifdef NO_LOCK
  :: atomic { !open[w] && MORE(w) -> since[w] = answered; open[w] = 1 }
#else
  :: atomic { !open[w] && MORE(w) && ordering == 0 ->
       ordering = w; since[w] = answered; open[w] = 1 }
#endif
  :: atomic { open[w] == 1 && rows[w] == LOW(rows[w]) && MORE(w) ->
#ifdef CACHE /* each session takes two numbers at a time from the sequence */
       if
       :: cached[w] -> rows[w] = rows[w] | BIT(cached[w]); cached[w] = 0
       :: else -> rows[w] = rows[w] | BIT(numbers + 1); numbers = numbers + 2; cached[w] = numbers
       fi;
#else
       numbers++; rows[w] = rows[w] | BIT(numbers);
#endif
       if :: matching = matching | rows[w] :: true fi }
  :: atomic { open[w] == 1 && rows[w] -> /* commit */
       assert((rows[w] & UPTO(passed)) == 0);            /* P1 */
       assert(LOW(rows[w]) > since[w]);                  /* P5 */
       events = events | rows[w]; unlock(w);
       if :: open[w] = 2 :: open[w] = 0; rows[w] = 0 /* nobody hears of it */ fi }
  :: atomic { open[w] == 2 -> answered = answered | rows[w]; open[w] = 0; rows[w] = 0 }
  :: atomic { open[w] == 1 -> /* rolled back */
       assert((rows[w] & answered) == 0);                /* P2 */
       matching = matching & ~rows[w]; open[w] = 0; rows[w] = 0; unlock(w) }
#ifdef ANSWER_FIRST
  :: atomic { open[w] == 1 && rows[w] -> answered = answered | rows[w] }
#endif
#ifdef UNLOCK_FIRST /* before the commit */
  :: atomic { open[w] == 1 && rows[w] && ordering == w -> ordering = 0 }
#endif
  od
}

proctype fanout(byte w) {
  do
  :: atomic { !owner[w] && fan_lock == 0 -> fan_lock = w; owner[w] = true }
  :: atomic { owner[w] && !placed[w] -> place(w) }
  :: atomic { owner[w] && placed[w] && !batch[w] && (events & ~UPTO(cursor[w])) ->
       batch[w] = events & ~UPTO(cursor[w]);
       if :: true :: batch[w] = LOW(batch[w]) /* LIMIT */ fi }
  :: atomic { batch[w] -> append(w, batch[w]) }
  :: atomic { batch[w] != LOW(batch[w]) -> append(w, LOW(batch[w])) }
  :: atomic { owner[w] -> forget(w) }
#ifdef NO_FAN_LOCK
  :: atomic { !owner[w] -> owner[w] = true }
#endif
#ifdef WRITE_ELSEWHERE /* not on the session that holds the lock, which may be lost then */
  :: atomic { owner[w] && fan_lock == w -> fan_lock = 0 }
#endif
#ifdef PLACE_FIRST /* before the lock is held */
  :: atomic { !owner[w] && !placed[w] -> place(w) }
#endif
#ifdef HALF_EVENT /* a chunk ends between the two messages of an event; then comes the crash */
  :: atomic { batch[w] & matching & LOW(batch[w]) -> first = first | LOW(batch[w]); forget(w) }
#endif
#ifdef CURSOR_FIRST /* in a transaction of its own */
  :: atomic { batch[w] -> saved = TOP(batch[w]) }
#endif
  od
}

active proctype feed() {
  do
  :: atomic { position < HORIZON -> /* a window, up to what was there when the horizon was read */
       if :: position++ :: position = HORIZON fi;
#ifdef LIMIT /* pages: the last row's event is passed, though its second message was not read */
       if :: true :: first & BIT(position) -> whole = false fi;
#endif
       assert(whole) /* P7 */ }
  od
}

init { atomic { run api(1); run api(2); run fanout(1); run fanout(2) } }
