BOOM.give("models/physics_ridge_embedded",{});
