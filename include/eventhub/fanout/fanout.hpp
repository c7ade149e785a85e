#pragma once
#include <memory>

#include "eventhub/store/context.hpp"

namespace eventhub {

std::unique_ptr<store::Role> make_fanout(store::Context& context);

}  // namespace eventhub
