package firesteel.estimator

import firesteel.bridge.InvalidDataException
import firesteel.network._
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.util.MLTest
import org.apache.spark.sql.DataFrame

final class NetworkPredictorSuite extends MLTest {
  import testImplicits._

  private lazy val data: DataFrame = Seq
    .tabulate(24)(id => (id.toLong, Vectors.dense(id / 4.0, 1.0), Seq(id % 3, id % 2), id % 2))
    .toDF("id", "numbers", "words", "even")
    .repartition(2)
    .cache()

  private val network = Network(
    Seq("words", "dense"),
    Seq(
      Node.of("table", Embedding(3, 4), "words"),
      Node.of("flat", Flatten, "table"),
      Node.of("both", Concatenate(), "flat", "dense"),
      Node.of("logits", Linear(3), "both"),
      Node.of("shares", Softmax, "logits"),
      Node.of("value", Linear(1), "both")
    ),
    Seq("shares", "value")
  )

  private lazy val model: NetworkModel = new NetworkEstimator()
    .setNetwork(network)
    .setFeaturesCols(Array("words", "numbers"))
    .setLabelCols(Array("even", "even"))
    .setOutputCols(Array("found shares", "found.value"))
    .setStrategy("single")
    .setEpochs(1)
    .fit(data)

  private def trained: Network = network.withWeights(model.weights)

  private def predicted(of: Network, outputs: String*): DataFrame =
    NetworkPredictor.append(data, of, Seq("words", "numbers"), outputs)

  test("every output is a column of vectors, with the numbers of the model's own transform") {
    val found = predicted(trained, "found shares", "found.value").orderBy("id")
    assert(found.columns === data.columns ++ Seq("found shares", "found.value"))
    val columns = Seq("`found shares`", "`found.value`")
    val rows = found.selectExpr(columns: _*).as[(Vector, Vector)].collect()
    val expected =
      model.transform(data).orderBy("id").selectExpr(columns: _*).as[(Vector, Double)].collect()
    assert(rows.length === 24)
    rows.zip(expected).foreach { case ((shares, value), (ownShares, ownValue)) =>
      assert(shares === ownShares)
      assert(value === Vectors.dense(ownValue))
    }
  }

  test("a network of one output predicts, also where it is given as JSON") {
    val linear = Network.sequential(Linear(2))
    val single = new NetworkEstimator()
      .setNetwork(linear)
      .setFeaturesCols(Array("numbers"))
      .setLabelCols(Array("numbers"))
      .setOutputCols(Array("found"))
      .setEpochs(1)
      .setNumWorkers(1)
      .fit(data)
    val weighted = linear.withWeights(single.weights)
    val found = NetworkPredictor.append(data, weighted, Seq("numbers"), Seq("found"))
    assert(found.orderBy("id").collect() === single.transform(data).orderBy("id").collect())
    val viaJson = NetworkPredictor.append(
      data,
      weighted.toJson,
      java.util.List.of("numbers"),
      java.util.List.of("found")
    )
    assert(viaJson.orderBy("id").collect() === found.orderBy("id").collect())
  }

  private def refused(texts: String*)(body: => Any): Unit = {
    val error = intercept[IllegalArgumentException](body)
    texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
    ()
  }

  test("what does not fit is named before anything runs") {
    refused("no weights to predict with")(predicted(network, "a", "b"))
    refused("the network has 2 outputs (shares, value)", "1 output columns (a)") {
      predicted(trained, "a")
    }
    refused("the network has 2 inputs (words, dense)", "1 columns of features (numbers)") {
      NetworkPredictor.append(data, trained, Seq("numbers"), Seq("a", "b"))
    }
    refused("the column 'number' does not exist") {
      NetworkPredictor.append(data, trained, Seq("words", "number"), Seq("a", "b"))
    }
    val further = Network(
      network.inputs,
      network.nodes.init :+ Node.of("further", Linear(1), "both"),
      Seq("shares", "further")
    )
    val error = intercept[InvalidDataException] {
      predicted(further.withWeights(model.weights), "a", "b")
    }
    assert(error.getMessage.contains("further."), error.getMessage)
  }
}
