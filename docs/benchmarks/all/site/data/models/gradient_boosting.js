BOOM.give("models/gradient_boosting",{});
