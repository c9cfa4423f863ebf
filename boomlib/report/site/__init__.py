"""The interactive leaderboard: static pages that open from disk, and the data that they load."""
