package firesteel.params

import firesteel.classification.NetworkClassifier
import org.json4s.JsonAST.{JDouble, JInt, JObject, JString}
import org.scalatest.funsuite.AnyFunSuite

final class AutoStrategySuite extends AnyFunSuite {
  private def rate(classifier: NetworkClassifier, workers: Int): Double =
    classifier.optimizerSpecOf(workers) \ "learningRate" match {
      case JDouble(value) => value
      case other => fail(other.toString)
    }

  test("there is at most one worker for each slot and for every eight rows of a mini-batch") {
    def workers(requested: Option[Int], slots: Int, batchSize: Int): Int =
      AutoStrategy.workers(requested, slots, batchSize)
    assert(workers(None, slots = 2, batchSize = 32) === 2)
    assert(workers(None, slots = 16, batchSize = 32) === 4)
    assert(workers(None, slots = 16, batchSize = 512) === 16)
    assert(workers(Some(1), slots = 16, batchSize = 512) === 1)
    assert(workers(Some(64), slots = 16, batchSize = 512) === 16)
    assert(workers(None, slots = 4, batchSize = 1) === 1)
  }

  test("workers share the fit's mini-batch, and with another strategy each has its own") {
    val classifier = new NetworkClassifier().setBatchSize(100)
    assert(Seq(1, 2, 3, 4).map(classifier.batchSizeOf) === Seq(100, 50, 33, 25))
    assert(classifier.setStrategy("local-sgd").batchSizeOf(4) === 100)
  }

  test("the rate of an adaptive optimizer grows with the root of the workers, that of sgd stays") {
    Seq("adam", "adamw", "rmsprop", "adagrad", "adadelta", "adamax", "nadam", "yogi").foreach {
      name =>
        val classifier = new NetworkClassifier().setOptimizer(name).setLearningRate(0.01)
        assert(math.abs(rate(classifier, 4) - 0.02) < 1e-12, name)
        assert(rate(classifier, 1) === 0.01, name)
    }
    val sgd = new NetworkClassifier().setOptimizer("sgd").setLearningRate(0.1)
    assert(rate(sgd, 16) === 0.1)
  }

  test("the rate stays as it is if asked for, and with any other strategy") {
    val classifier = new NetworkClassifier().setLearningRate(0.01)
    assert(rate(classifier.setLearningRateScaling("none"), 4) === 0.01)
    assert(rate(new NetworkClassifier().setStrategy("sync").setLearningRate(0.01), 4) === 0.01)
    val error = intercept[IllegalArgumentException](
      new NetworkClassifier().setStrategy("sync").setLearningRateScaling("none").optimizerSpecOf(4)
    )
    assert(error.getMessage.contains("learningRateScaling applies to the strategy 'auto'"))
  }

  test("the decoupled weight decay of adamw takes away as much in a step as with one worker") {
    val adamw = new NetworkClassifier().setOptimizer("adamw").setWeightDecay(0.02)
    assert((adamw.optimizerSpecOf(4) \ "weightDecay") === JDouble(0.01))
    val adam = new NetworkClassifier().setWeightDecay(0.02)
    assert((adam.optimizerSpecOf(4) \ "weightDecay") === JDouble(0.02))
  }

  test("it is local SGD, whose window depends on the workers unless it is set") {
    def spec(window: Int): JObject =
      JObject("name" -> JString("local-sgd"), "window" -> JInt(window))
    assert(new NetworkClassifier().strategySpec(workers = 1) === spec(64))
    assert(new NetworkClassifier().strategySpec(workers = 2) === spec(8))
    assert(new NetworkClassifier().setWindow(3).strategySpec(workers = 2) === spec(3))
  }

  test("an option of another strategy is refused under the name that the user knows") {
    val error = intercept[IllegalArgumentException](
      new NetworkClassifier().setServerScale(0.5).strategySpec(workers = 2)
    )
    assert(
      error.getMessage === "the strategy 'auto' has no serverScale; it has window, compression, compressPull"
    )
  }

  test("what was chosen is told in sentences, with the numbers") {
    val classifier = new NetworkClassifier().setNumWorkers(8)
    val decisions = classifier.strategyDecisions(workers = 4, slots = 16)
    Seq(
      "local SGD with 4 workers, which share each mini-batch of 32 rows",
      "(8 rows each) and average their replicas every 8 mini-batches",
      "numWorkers is 8, but 4 workers train",
      "0.002000 instead of 0.001000"
    ).foreach(text => assert(decisions.exists(_.contains(text)), text))
    assert(decisions.size === 3)
    val idle = new NetworkClassifier().strategyDecisions(workers = 4, slots = 64)
    assert(idle.exists(_.contains("4 of 64 slots train")), idle)
    val alone = new NetworkClassifier().strategyDecisions(workers = 1, slots = 1)
    assert(alone === Seq("strategy auto: one worker trains on mini-batches of 32 rows"))
    def decisions20(strategy: String, slots: Int): Seq[String] =
      new NetworkClassifier().setStrategy(strategy).strategyDecisions(workers = 20, slots)
    assert(
      decisions20("downpour", slots = 5) ===
        Seq(
          "strategy downpour: serverScale is 0.1000, for 20 workers, 5 of which train at the same time"
        )
    )
    assert(decisions20("aeasgd", slots = 5).head.contains("elasticAlpha is 0.09"))
    Seq("aeasgd", "easgd", "dynsgd").foreach(name => assert(decisions20(name, slots = 20) === Nil))
    assert(new NetworkClassifier().setStrategy("sync").strategyDecisions(2, 2) === Nil)
  }
}
