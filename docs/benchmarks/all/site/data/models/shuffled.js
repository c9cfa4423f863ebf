BOOM.give("models/shuffled",{});
