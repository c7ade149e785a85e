// Runs the scenarios; see options.cpp.
int main() { return 2; }
