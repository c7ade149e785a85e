#pragma once
#include <memory>

#include "eventhub/store/context.hpp"

namespace eventhub {

std::unique_ptr<store::Role> make_fanout(store::Context& context);
// From the outbox of eventhub.publish() to the events that the other fans out.
std::unique_ptr<store::Role> make_mover(store::Context& context);

}  // namespace eventhub
