BOOM.give("tasks/csd10k/density/scaffold/train_mean",{"seed":0,"y":"eNrtwTEBAAAIA6AU5jHJUlrQGHuABIC6AaDvAOhbAPoetFK4fg=="});
