BOOM.give("models/committee",{});
