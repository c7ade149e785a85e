#pragma once
#include <functional>
#include <string>
#include <vector>

#include "eventhub/cli/doctor.hpp"

namespace eventhub::app {

struct DoctorInput {
  std::function<Config(std::vector<std::string>& warnings)> configuration;  // throws ConfigError
  std::function<std::string(const Config&)> own_url;
  const cli::Invocation& invocation;
  const Environment& environment;
};
// `eventhubd doctor`: exit code.
int run_doctor(const DoctorInput& input);

}  // namespace eventhub::app
