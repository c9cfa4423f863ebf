BOOM.give("models/random_forest",{});
