-- Cards: what the test processor was asked. No number of a card stands in any table.

CREATE TABLE test_call (
    account  text COLLATE "C" NOT NULL,
    livemode boolean          NOT NULL,
    id       text COLLATE "C" NOT NULL,
    asked    text COLLATE "C" NOT NULL,
    verdict  text COLLATE "C",
    created  bigint           NOT NULL,
    CHECK (NOT livemode),
    PRIMARY KEY (account, livemode, id)
);
