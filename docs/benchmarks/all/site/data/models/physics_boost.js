BOOM.give("models/physics_boost",{});
