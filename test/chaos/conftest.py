"""The chaos program shares hubs, PostgreSQL and the sink with the end-to-end tests."""
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
