BOOM.give("models/committee_embedded",{});
