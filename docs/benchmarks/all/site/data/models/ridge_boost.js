BOOM.give("models/ridge_boost",{});
