// The program. Calls run_command_line (app/commands.cpp), which reads the command line
// (app/cli.cpp) and mostly ends in run_hub (app/app.cpp).
#include "eventhub/app/app.hpp"

int main(int argc, char** argv) {
  return eventhub::run_command_line(argc, argv);
}
