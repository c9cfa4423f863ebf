BOOM.give("models/physics_boost_embedded",{});
