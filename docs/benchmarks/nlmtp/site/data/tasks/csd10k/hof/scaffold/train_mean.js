BOOM.give("tasks/csd10k/hof/scaffold/train_mean",{"seed":0,"y":"eNrtwTEBAAAIA6C4JrGYz2oZYw+QAFA3APQtAH0HQN8DGXKkNQ=="});
