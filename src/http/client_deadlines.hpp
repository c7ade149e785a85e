#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "eventhub/core/async.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::http {

class Deadlines;

// Something that must be over by a time. Linked into its Deadlines from construction to
// destruction.
class Timed {
 public:
  explicit Timed(Deadlines& deadlines) : deadlines_(deadlines) {}
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

  // (Re)starts the clock; expire() is called once, at most 20 ms late.
  void expire_at(Mono deadline);
  void disarm();
  Mono deadline() const { return deadline_; }

 protected:
  ~Timed() { disarm(); }

 private:
  friend class Deadlines;
  // Must not destroy other Timed objects.
  virtual void expire() = 0;

  Deadlines& deadlines_;
  Mono deadline_{};
  Timed* next_ = nullptr;
  Timed* previous_ = nullptr;
  bool armed_ = false;
};

// All deadlines behind one timer, which is set to the earliest one: a request that is answered in
// time costs two pointer writes, no timer operation.
class Deadlines {
 public:
  Deadlines(const Executor& executor, const Clock& clock);
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  void expire_all();
  // Lets the timer go; a deadline set later arms it again.
  void stop();

 private:
  friend class Timed;
  void add(Timed& timed);
  void remove(Timed& timed);
  void arm(Mono at);
  void scan();

  boost::asio::steady_timer timer_;
  const Clock& clock_;
  Timed* first_ = nullptr;
  Timed* cursor_ = nullptr;  // next in a running scan
  Mono armed_for_ = Mono::max();
  std::shared_ptr<bool> alive_;
};

}  // namespace eventhub::http
