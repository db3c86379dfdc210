package firesteel.classification

import firesteel.data.LocalSpark
import firesteel.network._
import org.apache.spark.sql.DataFrame
import org.scalatest.funsuite.AnyFunSuite

/** Fits that leave strategy, workers and all that depends on them at their defaults. */
final class DefaultsSuite extends AnyFunSuite with LocalSpark {
  private lazy val data: DataFrame = Blobs.frame(spark, rows = 480)

  private def classifier: NetworkClassifier = new NetworkClassifier()
    .setNetwork(Network.sequential(Linear(16), ReLU, Linear(3), Softmax))
    .setEpochs(6)
    .setSeed(3)

  private def lossOf(model: NetworkClassificationModel): Double = model.summary.losses.last

  test("one worker learns what the strategy single learns, to rounding") {
    val single = classifier.setStrategy("single").fit(data)
    assert(math.abs(lossOf(classifier.setNumWorkers(1).fit(data)) - lossOf(single)) < 1e-4)
  }

  test("several workers end an epoch at the loss that one has there, with as many steps") {
    val one = classifier.setNumWorkers(1).fit(data).summary
    val two = classifier.fit(data).summary
    assert(two.workers === 2)
    one.losses.zip(two.losses).foreach { case (alone, shared) =>
      assert(math.abs(shared - alone) < 0.2 * alone, s"${two.losses} beside ${one.losses}")
    }
    val batches = two.ledger.filter(_.epoch == 0).map(_.spans.map(_.batches).sum)
    assert(batches === Seq(15, 15), "480 rows in mini-batches of 32, of which each worker has 16")
  }

  test("more workers than slots train as one for each slot, and the summary says so") {
    val summary = classifier.setNumWorkers(16).setEpochs(1).fit(data).summary
    assert(summary.workers === 2)
    assert(summary.decisions.exists(_.contains("numWorkers is 16, but 2 workers train")))
  }

  test("the summary says that a network of layers is planned") {
    def execution(layers: Layer*): Seq[String] =
      classifier
        .setNetwork(Network.sequential(layers: _*))
        .setEpochs(1)
        .fit(data)
        .summary
        .decisions
        .filter(_.startsWith("execution: "))
    val planned = Seq("execution: all layers of the network are planned")
    assert(execution(Linear(16), ReLU, Dropout(0.1), Linear(3), Softmax) === planned)
    assert(execution(Reshape(1, -1), LSTM(8, output = "last"), Linear(3)) === planned)
    assert(execution(Reshape(1, -1), Softmax(1), Flatten, Linear(3)) === planned)
  }

  test("the summary has the rate that was used and why, also once it was saved") {
    val model = classifier.setEpochs(1).fit(data)
    assert(math.abs(model.summary.epochs.head.learningRate.get - 1e-3 * math.sqrt(2)) < 1e-9)
    assert(
      model.summary.decisions.exists(
        _.startsWith("learningRateScaling auto: the learning rate is 0.001414")
      )
    )
    val path = java.nio.file.Files.createTempDirectory("firesteel").resolve("model").toString
    model.write.save(path)
    assert(NetworkClassificationModel.load(path).summary.decisions === model.summary.decisions)
  }
}
