"""A recorded run as one page of HTML."""
