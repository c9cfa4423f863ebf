"""What every model stands on: its interface, the job that runs it, training, design matrices, batches."""
