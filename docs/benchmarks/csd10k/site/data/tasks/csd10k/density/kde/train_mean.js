BOOM.give("tasks/csd10k/density/kde/train_mean",{"seed":0,"y":"eNrtwTEBAAAIA6B/AaxjZSNaYweQANBoAKh0AFRaACo9UbX0rA=="});
