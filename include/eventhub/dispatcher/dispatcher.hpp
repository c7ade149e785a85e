#pragma once
#include <memory>

#include "eventhub/store/context.hpp"

namespace eventhub {

std::unique_ptr<store::Role> make_dispatcher(store::Context& context);

}  // namespace eventhub
