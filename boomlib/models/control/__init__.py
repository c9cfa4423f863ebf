"""Controls, which bound the leaderboard and are never ranked."""
