#pragma once
#include <string>
#include <vector>

namespace eventhub::app {

// `eventhubd bench …`: becomes eventhub_bench, which lies beside this program or in bench/ beside
// it. Returns, with an exit code, only when there is none.
int run_bench(const std::vector<std::string>& arguments);

}  // namespace eventhub::app
