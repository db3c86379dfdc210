package firesteel.classification

import java.nio.file.Files

import firesteel.bridge.InvalidDataException
import firesteel.data.LocalSpark
import firesteel.network._
import org.apache.spark.sql.DataFrame
import org.scalatest.funsuite.AnyFunSuite

/** Fits that start from given weights. */
final class StartingWeightsSuite extends AnyFunSuite with LocalSpark {
  private lazy val data: DataFrame = Blobs.frame(spark)
  private lazy val trained: NetworkClassificationModel = Blobs.classifier().fit(data)
  private lazy val started: Network = trained.network.withWeights(trained.weights)

  /** A fit that moves nothing. */
  private def standing(network: Network): NetworkClassifier =
    Blobs.classifier().setNetwork(network).setOptimizer("sgd").setLearningRate(1e-30).setEpochs(1)

  test("training starts from the network's weights, with every kind of strategy") {
    Seq("adag", "sync", "aeasgd", "ensemble").foreach { strategy =>
      val classifier = standing(started).setStrategy(strategy)
      if (strategy == "sync" || strategy == "ensemble") classifier.clear(classifier.window)
      val model = classifier.fit(data)
      // An ensemble has the weights of each of its members.
      if (strategy != "ensemble") assert(model.weights === trained.weights)
      assert(Blobs.accuracy(model.transform(data)) === Blobs.accuracy(trained.transform(data)))
    }
    assert(standing(started.withoutWeights).fit(data).weights !== trained.weights)
  }

  test("the buffers of a batch normalisation are weights to start from, too") {
    val network = Network.sequential(Linear(8), BatchNorm1d(), ReLU, Linear(3))
    val model = Blobs.classifier().setNetwork(network).fit(data)
    val again = Blobs.classifier().setNetwork(network.withWeights(model.weights)).fit(data)
    assert(again.summary.losses.head < model.summary.losses.head / 2)
  }

  test("a model has no weights but those it was trained to") {
    val model = standing(started).fit(data)
    assert(model.network.weights.isEmpty)
    assert(model.network === trained.network)
    val path = Files.createTempDirectory("firesteel").resolve("model")
    model.save(path.toString)
    assert(!Files.readString(path.resolve("network.json")).contains("weights"))
    assert(NetworkClassificationModel.load(path.toString).weights === trained.weights)
  }

  test("a saved estimator comes back with the weights it starts from") {
    val path = Files.createTempDirectory("firesteel").resolve("estimator").toString
    standing(started).save(path)
    val loaded = NetworkClassifier.load(path)
    assert(loaded.getNetwork === started)
    assert(loaded.fit(data).weights === trained.weights)
  }

  test("weights that are not the network's are refused by the name of the tensor") {
    def refused(texts: String*)(layers: Layer*): Unit = {
      val network = Network.sequential(layers: _*).withWeights(trained.weights)
      val error = intercept[InvalidDataException](standing(network).fit(data))
      texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
      ()
    }
    refused("'0.weight'", "F32 [16, 4]", "F32 [8, 4]")(Linear(8), ReLU, Linear(3))
    refused("lack the network's tensor '1.weight'")(Linear(16), LayerNorm(16), Linear(3))
    refused("hold a tensor '2.")(Linear(16), ReLU)
  }

  test("a fit with checkpoints starts from the network's weights, too") {
    val folder = Files.createTempDirectory("firesteel").toString
    val model = standing(started).setCheckpointDir(folder).fit(data)
    assert(model.weights === trained.weights)
  }
}
